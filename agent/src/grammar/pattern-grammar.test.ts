import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { seededRandom } from "../runtime/random.ts";
import { schemaGrammar } from "./schema-grammar.ts";
import { stringFormats } from "./string-formats.ts";
import { accepts, draw } from "./testing/walk.ts";

const patterns: readonly string[] = [
  "^a$",
  "b",
  "^(?:ab|c)*d?$",
  "^[^a-y]{2,3}$",
  "^\\p{Lu}\\p{Ll}+$",
  "^[\\w.-]+@\\w+\\.\\w{2,3}$",
  '^"[^"]*"\\\\$',
  "^.\\s.$",
  "^(a?){3}$",
  "x$|^y",
  "^[\\u00e0-\\u{1F64F}]$",
  "^\\D\\S\\W$",
  "^$",
];
const texts = [
  "",
  "a",
  "b",
  "ab",
  "abab",
  "abcd",
  "aaa",
  "aaaa",
  "zz",
  "\u{1F600}",
  "\u{1F600}Z",
  "Ärger",
  "ÄRGER",
  "me@host.de",
];
texts.push(
  '"hi"\\',
  '"\\',
  "a b",
  "a\tb",
  "a\nb",
  "\n b",
  "nox",
  "yes",
  "é",
  "ß",
  "x9 ",
  "xx\u0001",
  "-x.y@b.com",
  "ü",
);

describe("the grammar of a pattern", () => {
  for (const pattern of patterns) {
    it(`allows exactly what the regular expression matches: ${pattern}`, () => {
      const grammar = schemaGrammar({ type: "string", pattern });
      const expression = new RegExp(pattern, "u");
      for (const text of texts)
        assert.equal(accepts(grammar, JSON.stringify(text)), expression.test(text), JSON.stringify(text));
      const random = seededRandom(3);
      for (let i = 0; i < 25; i += 1) {
        const text = draw(grammar, random);
        if (text !== null) assert.match(JSON.parse(text), expression);
      }
    });
  }

  for (const [format, example] of Object.entries({
    date: "2024-12-31",
    time: "23:59:01Z",
    "date-time": "2024-02-28T00:00:00.125+02:00",
    duration: "P3DT12H",
    email: "first.last@mail.example.com",
    hostname: "edge-7.example.com",
    ipv4: "192.168.0.255",
    ipv6: "2001:db8:0:0:0:0:0:1",
    uuid: "123e4567-e89b-42d3-a456-426614174000",
    uri: "https://example.com:8080/a/b.html",
  })) {
    it(`gives nothing but valid texts of the format ${format}`, () => {
      const grammar = schemaGrammar({ type: "string", format });
      assert.ok(accepts(grammar, JSON.stringify(example)), example);
      const validator = z.fromJSONSchema({ type: "string", format } as Parameters<typeof z.fromJSONSchema>[0]);
      const random = seededRandom(5);
      let ended = 0;
      for (let i = 0; i < 100; i += 1) {
        const text = draw(grammar, random);
        if (text === null) continue;
        ended += 1;
        const checked = validator.safeParse(JSON.parse(text));
        assert.ok(checked.success, `${text}: ${checked.error?.message}`);
        if (format === "date")
          assert.equal(new Date(`${JSON.parse(text)}T00:00:00Z`).toISOString().slice(0, 10), JSON.parse(text));
      }
      assert.ok(ended > 90, `${ended} ended`);
    });
  }

  it("is there for every format that is said to be known", () => assert.equal(stringFormats.size, 10));
});
