import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { seededRandom } from "../runtime/random.ts";
import { Automaton, type State } from "./automaton.ts";
import { anyObject } from "./json-grammar.ts";
import { schemaGrammar } from "./schema-grammar.ts";
import { accepts, draw } from "./testing/walk.ts";

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
  together: {
    allOf: [
      { type: "object", properties: { a: { type: "number", minimum: -2.5 }, b: { type: "string" } }, required: ["a"] },
      { properties: { a: { exclusiveMaximum: 0.75 }, c: { enum: [1, "x"] } }, required: ["b"] },
      { properties: { c: { type: "string" } } },
    ],
  },
  refined: {
    $defs: { base: { type: "object", properties: { id: { type: "integer" } }, required: ["id"] } },
    $ref: "#/$defs/base",
    properties: { id: { minimum: 3, maximum: 40 } },
  },
  discriminated: {
    oneOf: [
      { type: "object", properties: { kind: { const: "cat" }, lives: { type: "integer" } }, required: ["kind"] },
      { type: "object", properties: { kind: { enum: ["dog", "fox"] }, name: { type: "string" } }, required: ["kind"] },
      { type: "null" },
    ],
  },
  list: {
    $defs: {
      link: {
        type: "object",
        properties: { next: { anyOf: [{ $ref: "#/$defs/link" }, { type: "null" }] } },
        required: ["next"],
      },
    },
    allOf: [{ $ref: "#/$defs/link" }],
  },
  spelled: {
    type: "object",
    properties: {
      plate: { type: "string", pattern: "^[A-Z]{2}-\\d{1,4}$", maxLength: 7 },
      when: { type: "string", format: "date-time" },
      address: { type: "string", format: "ipv4" },
    },
    required: ["plate", "when", "address"],
  },
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

  it("keeps the bounds of fractions exactly, to six decimals", () => {
    const bounds = [
      { minimum: 0, maximum: 1 },
      { minimum: -0.29, exclusiveMaximum: 12.5 },
      { exclusiveMinimum: 0.07, maximum: 0.1 },
      { minimum: 99.995, maximum: 100.2 },
    ];
    const values = [
      "-0.3",
      "-0.29",
      "-0.1",
      "0",
      "0.07",
      "0.0700",
      "0.070001",
      "0.1",
      "0.1000",
      "0.100001",
      "0.5",
      "1",
    ];
    values.push("1.0", "1.000001", "12.49", "12.5", "99.99", "99.995", "100", "100.2", "100.21", "1000");
    for (const bound of bounds) {
      const grammar = schemaGrammar({ type: "number", ...bound });
      const validator = z.fromJSONSchema({ type: "number", ...bound });
      for (const value of values)
        assert.equal(
          accepts(grammar, value),
          validator.safeParse(Number(value)).success,
          `${value} in ${JSON.stringify(bound)}`,
        );
    }
  });

  it("names the place of what it can't keep", () => {
    const refusals: readonly (readonly [object, string])[] = [
      [{ type: "object", properties: { mail: { type: "string", format: "iri" } } }, "schema.properties.mail.format"],
      [{ type: "array", items: { type: "string", pattern: "(?=a)b" } }, "schema.items.pattern"],
      [{ type: "string", pattern: "^a{2,9}$", maxLength: 5 }, "schema.pattern"],
      [{ oneOf: [{ type: "string" }, { type: "string", minLength: 3 }] }, "schema.oneOf"],
      [{ oneOf: [{ type: "integer" }, { type: "number" }] }, "schema.oneOf"],
      [{ type: "number", multipleOf: 3 }, "schema.multipleOf"],
      [{ type: "number", minimum: 1, exclusiveMaximum: 1 }, "schema"],
      [{ allOf: [{ type: "string" }, { type: "integer" }] }, "schema"],
      [{ $defs: { a: { allOf: [{ $ref: "#/$defs/a" }, {}] } }, $ref: "#/$defs/a" }, "schema"],
      [{ type: "object", properties: { a: { $ref: "#/$defs/none" } } }, "schema.properties.a.$ref"],
      [{ anyOf: [{ type: "string" }, { type: "thing" }] }, "schema.anyOf.1.type"],
      [{ type: "string", anyOf: [{ minLength: 1 }, { maxItems: 2 }] }, "schema.anyOf.1.maxItems"],
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
