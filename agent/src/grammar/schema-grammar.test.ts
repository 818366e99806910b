import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { seededRandom } from "../runtime/random.ts";
import { Automaton, type State } from "./automaton.ts";
import type { Grammar } from "./grammar.ts";
import { anyObject } from "./json-grammar.ts";
import { schemaGrammar } from "./schema-grammar.ts";

function accepts(grammar: Grammar, text: string): boolean {
  const automaton = new Automaton(grammar);
  let state: State | null = automaton.start();
  for (const byte of Buffer.from(text)) state = state === null ? null : automaton.step(state, byte);
  return state?.accepts === true;
}

/** A text drawn byte by byte, what ends things a bit likelier than what goes on. Null when it didn't end. */
function draw(grammar: Grammar, random: () => number): string | null {
  const automaton = new Automaton(grammar);
  const bytes: number[] = [];
  let state = automaton.start();
  while (bytes.length < 4_000) {
    const ways: [number, State][] = [];
    for (let byte = 0; byte < 256; byte += 1) {
      const next = automaton.step(state, byte);
      const weight = [0x22, 0x5d, 0x7d].includes(byte) ? 40 : 1;
      if (next !== null) for (let i = 0; i < weight; i += 1) ways.push([byte, next]);
    }
    if (state.accepts && (ways.length === 0 || random() < 0.3))
      return new TextDecoder("utf8", { fatal: true }).decode(Uint8Array.from(bytes));
    const [byte, next] = ways[Math.floor(random() * ways.length)] ?? [0, state];
    assert.ok(ways.length > 0, `no way on after ${Buffer.from(bytes).toString()}`);
    bytes.push(byte);
    state = next;
  }
  return null;
}

const person = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 8 },
    age: { type: "integer", minimum: 0, maximum: 130 },
    height: { type: ["number", "null"] },
    tags: { type: "array", items: { enum: ["a", "b", 3, null] }, minItems: 1, maxItems: 3 },
    kind: { const: "person" },
    address: { $ref: "#/$defs/address" },
  },
  required: ["name", "age", "tags"],
  additionalProperties: false,
  $defs: { address: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
};
const tree = {
  $defs: {
    node: {
      type: "object",
      properties: { value: { type: "integer" }, children: { type: "array", items: { $ref: "#/$defs/node" } } },
      required: ["value", "children"],
      additionalProperties: false,
    },
  },
  $ref: "#/$defs/node",
};
const schemas: Readonly<Record<string, object>> = {
  person,
  tree,
  union: {
    anyOf: [
      { type: "object", properties: { a: { type: "boolean" } } },
      { type: "array", items: { type: "number" } },
    ],
  },
  map: { type: "object", additionalProperties: { type: "integer", exclusiveMinimum: -17, exclusiveMaximum: 2305 } },
  anything: { type: "object" },
  escaped: { type: "object", properties: { 'a"b\nü': { const: 'é"\\' } }, required: ['a"b\nü'] },
};

describe("the grammar of a schema", () => {
  for (const [name, schema] of Object.entries(schemas)) {
    it(`gives nothing but valid values: ${name}`, () => {
      const grammar = schemaGrammar(schema);
      const validator = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
      const random = seededRandom(7);
      let ended = 0;
      for (let i = 0; i < 150; i += 1) {
        const text = draw(grammar, random);
        if (text === null) continue;
        ended += 1;
        const checked = validator.safeParse(JSON.parse(text));
        assert.ok(checked.success, `${text}: ${checked.error?.message}`);
      }
      assert.ok(ended > 100, `${ended} ended`);
    });
  }

  it("allows what is valid, and refuses what isn't", () => {
    const grammar = schemaGrammar(person);
    assert.ok(accepts(grammar, '{"name": "Bo", "age": 130, "tags": ["a", null]}'));
    assert.ok(
      accepts(grammar, '{\n  "name": "\\u00fc\\n",\n  "age": 7, "height": -1.5e3, "tags": [3], "kind": "person"\n}'),
    );
    assert.ok(accepts(grammar, '{"name":"日本語","age":0,"height":null,"tags":["b"],"address":{"city":"x"}}'));
    const wrong = [
      '{"name": "", "age": 1, "tags": ["a"]}',
      '{"name": "123456789", "age": 1, "tags": ["a"]}',
      '{"name": "x", "age": 131, "tags": ["a"]}',
      '{"name": "x", "age": 01, "tags": ["a"]}',
      '{"name": "x", "age": 1, "tags": []}',
      '{"name": "x", "age": 1, "tags": ["a","a","a","a"]}',
      '{"name": "x", "age": 1}',
      '{"name": "x", "age": 1, "tags": ["a"], "more": 1}',
      '{"name": "x", "age": 1, "tags": ["a"],}',
      '{"name": "\\ud83d", "age": 1, "tags": ["a"]}',
    ];
    for (const text of wrong) assert.ok(!accepts(grammar, text), text);
  });

  it("keeps the bounds of whole numbers exactly", () => {
    for (const [minimum, maximum] of [
      [0, 9],
      [-5, 5],
      [19, 2305],
      [-120, -7],
      [100, 100],
      [0, 1_000],
    ] as const) {
      const grammar = schemaGrammar({ type: "integer", minimum, maximum });
      for (let value = minimum - 15; value <= maximum + 15; value += 1)
        assert.equal(
          accepts(grammar, String(value)),
          value >= minimum && value <= maximum,
          `${value} in ${minimum} to ${maximum}`,
        );
    }
  });

  it("names the place of what it can't keep", () => {
    const refusals: readonly (readonly [object, string])[] = [
      [{ type: "object", properties: { mail: { type: "string", format: "email" } } }, "schema.properties.mail.format"],
      [{ type: "array", items: { type: "string", pattern: "a+" } }, "schema.items.pattern"],
      [{ oneOf: [{ type: "string" }] }, "schema.oneOf"],
      [{ type: "number", minimum: 1 }, "schema.minimum"],
      [{ type: "object", properties: { a: { $ref: "#/$defs/none" } } }, "schema.properties.a.$ref"],
      [{ anyOf: [{ type: "string" }, { type: "thing" }] }, "schema.anyOf.1.type"],
      [{ type: "object", required: ["a"] }, "schema.required"],
      [{ type: "integer", minimum: 5, maximum: 4 }, "schema"],
      [{ type: "array", items: { type: "string" }, minItems: 1_000_000_000 }, "schema"],
    ];
    for (const [schema, path] of refusals)
      assert.throws(
        () => schemaGrammar(schema),
        (error: { code: string; fields: { path: string } }) => {
          assert.deepEqual([error.code, error.fields.path], ["grammar.unsupported", path]);
          return true;
        },
      );
  });

  it("is any object where no schema is given", () => {
    const grammar = anyObject();
    assert.ok(accepts(grammar, '{"a": [1, {"b": [[]]}, "x", true, null], "c": {}}'));
    for (const text of ["[]", "1", '{"a": }', "{a: 1}", '{"a": 1} ']) assert.ok(!accepts(grammar, text), text);
  });

  it("is given up when it would take too long", () => {
    const strings = Array.from({ length: 200 }, (_, i) => ({ type: "string", maxLength: 200 + i }));
    assert.throws(() => schemaGrammar({ anyOf: strings }), { message: /too large/ });
    const automaton = new Automaton(schemaGrammar({ anyOf: strings.slice(0, 30) }));
    const walkOn = (): Uint32Array => {
      for (let from = automaton.start(), at = 0; at < 1_000_000; at += 1) {
        from.next.length = 0;
        automaton.step(from, 0x22);
      }
      return new Uint32Array();
    };
    assert.throws(() => automaton.mask(automaton.start(), walkOn), { message: /too many ways/ });
  });

  it("stays small while an answer grows", () => {
    const automaton = new Automaton(anyObject());
    let state: State | null = automaton.start();
    const seen = new Set<State>();
    for (const byte of Buffer.from(`{"a": "${"word ".repeat(2_000)}"`)) {
      state = state === null ? null : automaton.step(state, byte);
      if (state !== null) seen.add(state);
    }
    assert.ok(state !== null && seen.size < 20, `${seen.size} states`);
  });
});
