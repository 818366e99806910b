import { type Grammar, GrammarTooLarge, literal, type Part } from "./grammar.ts";
import { type Bounds, JsonGrammar } from "./json-grammar.ts";
import { patternGrammar, UnsupportedPattern } from "./pattern-grammar.ts";
import { isOfType, keywords, resolve, type Schema, type Type, typesOf, unsupported } from "./schema.ts";
import { mergeSchemas } from "./schema-merge.ts";
import { areDisjoint } from "./schema-overlap.ts";
import { stringFormats } from "./string-formats.ts";

/** Say nothing about the value. */
const annotations = new Set([
  "$schema",
  "$id",
  "$comment",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
]);
const combining = ["$ref", "allOf", "anyOf", "oneOf"];

const mostDepth = 64;
const mostAlternatives = 1_000;
const mostWorked = 10_000;

interface Alternative {
  readonly schema: Schema;
  readonly path: string;
}

/**
 * The grammar of the values that a JSON Schema (2020-12) allows, or of a part of them: objects have their properties in
 * the schema's order and, where it names some, no others. Throws `grammar.unsupported` with the path of what it can't keep.
 */
export function schemaGrammar(schema: unknown): Grammar {
  const compiler = new SchemaCompiler(schema);
  try {
    return compiler.compile();
  } catch (error) {
    if (error instanceof GrammarTooLarge) throw unsupported("", `the schema is too large: ${error.message}`);
    throw error;
  }
}

class SchemaCompiler {
  readonly #root: unknown;
  readonly #json = new JsonGrammar();
  /** Rules of schemas that were referred to, by reference. */
  readonly #references = new Map<string, Part>();
  #worked = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  compile(): Grammar {
    return this.#json.builder.build(this.#value(this.#root, "", 0));
  }

  #value(schema: unknown, path: string, depth: number): Part {
    if (depth > mostDepth) throw unsupported(path, `schemas may be ${mostDepth} deep`);
    if (schema === true) return this.#json.any();
    const known = demands(schema, path);
    const { $ref, allOf, anyOf, oneOf } = known;
    // What stands alone stays apart, so that a schema may refer to itself.
    if (Object.keys(known).length === 1) {
      if ($ref !== undefined) return this.#reference($ref, path, depth);
      const alone = anyOf ?? oneOf ?? (Array.isArray(allOf) && allOf.length === 1 ? allOf : undefined);
      if (alone !== undefined) {
        const [keyword = ""] = Object.keys(known);
        if (oneOf !== undefined) this.#refuseOverlap(oneOf, path, depth);
        const parts = listOf(alone, path, keyword).map((one, index) =>
          this.#value(one, `${path}.${keyword}.${index}`, depth + 1),
        );
        return this.#json.builder.choice(...parts);
      }
    }
    const parts = this.#alternatives(known, path, depth).map((one) => this.#plain(one.schema, one.path, depth));
    return this.#json.builder.choice(...parts);
  }

  /** References, `allOf`, `anyOf` and `oneOf` worked out: plain schemas, of which a value must fulfil one. */
  #alternatives(schema: Schema, path: string, depth: number): Alternative[] {
    this.#worked += 1;
    if (depth > mostDepth || this.#worked > mostWorked)
      throw unsupported("", "its references and combinations lead too far");
    const of = (one: unknown, at: string): Alternative[] => this.#alternatives(demands(one, at), at, depth + 1);
    const plain = Object.fromEntries(Object.entries(schema).filter(([keyword]) => !combining.includes(keyword)));
    let found: Alternative[] = [{ schema: plain, path }];
    const narrow = (others: readonly Alternative[]): void => {
      found = found.flatMap((one) =>
        others.flatMap((other) => {
          const merged = mergeSchemas(one.schema, other.schema);
          return merged === null ? [] : [{ schema: merged, path: other.path }];
        }),
      );
      if (found.length === 0) throw unsupported(path, "no value is left, or its demands can't be said as one");
      if (found.length > mostAlternatives) throw unsupported(path, "too many combinations of alternatives");
    };
    const { $ref, allOf, anyOf, oneOf } = schema;
    if ($ref !== undefined) narrow(of(resolve(this.#root, $ref, path), path));
    for (const [index, one] of listOf(allOf, path, "allOf").entries()) narrow(of(one, `${path}.allOf.${index}`));
    if (oneOf !== undefined) this.#refuseOverlap(oneOf, path, depth);
    for (const [keyword, either] of Object.entries({ anyOf, oneOf }))
      if (either !== undefined)
        narrow(listOf(either, path, keyword).flatMap((one, index) => of(one, `${path}.${keyword}.${index}`)));
    return found;
  }

  /** `oneOf` is `anyOf` where surely no value is two of them. */
  #refuseOverlap(oneOf: unknown, path: string, depth: number): void {
    const plain = (one: unknown): readonly Schema[] =>
      this.#alternatives(demands(one, path), path, depth + 1).map(({ schema }) => schema);
    const schemas = listOf(oneOf, path, "oneOf");
    for (const [index, one] of schemas.entries())
      for (const other of schemas.slice(index + 1))
        if (!areDisjoint(one, other, plain))
          throw unsupported(
            `${path}.oneOf`,
            "a value may be two of these at once: give each a required property with a const of its own, or use anyOf",
          );
  }

  #plain(schema: Schema, path: string, depth: number): Part {
    if (schema["const"] !== undefined || schema["enum"] !== undefined) return this.#listed(schema, path);
    const types = typesOf(schema, path);
    refuseUnknown(schema, path, ["type", ...(types ?? []).flatMap((type): readonly string[] => keywords[type])]);
    if (types === null) return this.#json.any();
    return this.#json.builder.choice(...types.map((type) => this.#typed(type, schema, path, depth)));
  }

  #typed(type: Type, schema: Schema, path: string, depth: number): Part {
    switch (type) {
      case "string":
        return this.#string(schema, path);
      case "integer":
      case "number": {
        const part = this.#json.numberWithin(boundsOf(schema, path), type === "integer");
        if (part === null) throw unsupported(path, "no number of at most 15 digits lies within the bounds");
        return part;
      }
      case "boolean":
        return this.#json.boolean();
      case "null":
        return literal("null");
      case "array": {
        const { least, most } = span(schema, path, "minItems", "maxItems");
        return this.#json.array(this.#value(schema["items"] ?? true, `${path}.items`, depth + 1), least, most);
      }
      case "object":
        return this.#object(schema, path, depth);
    }
  }

  #string(schema: Schema, path: string): Part {
    const { least, most } = span(schema, path, "minLength", "maxLength");
    const { pattern, format } = schema;
    if (pattern === undefined && format === undefined) return this.#json.string(least, most);
    const form = stringFormats.get(String(format));
    // A format beside a pattern only says what the pattern is for (2020-12, "format-annotation").
    if (pattern === undefined && form === undefined)
      throw unsupported(`${path}.format`, `known formats: ${[...stringFormats.keys()].join(", ")}`);
    const at = pattern === undefined ? `${path}.format` : `${path}.pattern`;
    try {
      const text = patternGrammar(this.#json.builder, pattern === undefined ? `^(?:${form})$` : String(pattern));
      if (text.least < least || (most !== null && (text.most === null || text.most > most)))
        throw unsupported(
          at,
          "its texts are of other lengths than minLength and maxLength allow: say them in the pattern",
        );
      return [...literal('"'), ...text.part, ...literal('"')];
    } catch (error) {
      if (error instanceof UnsupportedPattern) throw unsupported(at, error.message);
      throw error;
    }
  }

  #object(schema: Schema, path: string, depth: number): Part {
    const { properties = {}, required = [], additionalProperties = true } = schema;
    if (typeof properties !== "object" || properties === null) throw unsupported(`${path}.properties`, "an object");
    if (!Array.isArray(required)) throw unsupported(`${path}.required`, "a list of names");
    const members = Object.entries(properties).map(([name, value]) => ({
      name,
      value: this.#value(value, `${path}.properties.${name}`, depth + 1),
      required: required.includes(name),
    }));
    const missing = required.find((name) => !Object.hasOwn(properties, name));
    if (missing !== undefined) throw unsupported(`${path}.required`, `${String(missing)} is not one of the properties`);
    if (members.length > 0 || additionalProperties === false) return this.#json.object(members);
    return this.#json.map(this.#value(additionalProperties, `${path}.additionalProperties`, depth + 1));
  }

  #listed(schema: Schema, path: string): Part {
    refuseUnknown(schema, path, ["const", "enum", "type"]);
    const values = schema["const"] === undefined ? schema["enum"] : [schema["const"]];
    if (!Array.isArray(values)) throw unsupported(`${path}.enum`, "a list of values");
    const types = typesOf(schema, path);
    const fitting = values.filter((value) => types === null || types.some((type) => isOfType(value, type)));
    if (fitting.length === 0) throw unsupported(path, "no value is left");
    return this.#json.builder.choice(...fitting.map((value) => literal(JSON.stringify(value))));
  }

  #reference(reference: unknown, path: string, depth: number): Part {
    const target = resolve(this.#root, reference, path);
    const known = this.#references.get(String(reference));
    if (known !== undefined) return known;
    const rule = this.#json.builder.reserve();
    this.#references.set(String(reference), [{ rule }]);
    return this.#json.builder.define(rule, [this.#value(target, path, depth + 1)]);
  }
}

/** A schema's keywords but for those that only describe. */
function demands(schema: unknown, path: string): Schema {
  if (schema === true) return {};
  if (typeof schema !== "object" || schema === null || Array.isArray(schema))
    throw unsupported(path, "a schema is an object");
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => !annotations.has(keyword)));
}

function refuseUnknown(schema: Schema, path: string, known: readonly string[]): void {
  const unknown = Object.keys(schema).find((keyword) => !known.includes(keyword));
  if (unknown !== undefined) throw unsupported(`${path}.${unknown}`, "this keyword can't be kept here");
}

function listOf(value: unknown, path: string, keyword: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length === 0) throw unsupported(`${path}.${keyword}`, "a list of schemas");
  return value;
}

function boundsOf(schema: Schema, path: string): Bounds {
  const bound = (name: string, otherwise: number): number => {
    const value = schema[name] ?? otherwise;
    if (typeof value !== "number") throw unsupported(`${path}.${name}`, "a number");
    return value;
  };
  return {
    minimum: bound("minimum", -Infinity),
    maximum: bound("maximum", Infinity),
    exclusiveMinimum: bound("exclusiveMinimum", -Infinity),
    exclusiveMaximum: bound("exclusiveMaximum", Infinity),
  };
}

function span(schema: Schema, path: string, low: string, high: string): { least: number; most: number | null } {
  const count = (name: string): number | null => {
    const value = schema[name] ?? null;
    if (value !== null && !(Number.isInteger(value) && Number(value) >= 0))
      throw unsupported(`${path}.${name}`, "a count");
    return value === null ? null : Number(value);
  };
  const [least, most] = [count(low) ?? 0, count(high)];
  if (most !== null && most < least) throw unsupported(`${path}.${high}`, `at least ${low}`);
  return { least, most };
}
