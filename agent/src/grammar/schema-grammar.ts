import { EspalierError } from "@espalier/shared/errors";
import { type Grammar, GrammarTooLarge, literal, type Part } from "./grammar.ts";
import { JsonGrammar } from "./json-grammar.ts";

/** Say nothing about the value. */
const annotations = new Set([
  "$schema",
  "$id",
  "$comment",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
]);
const definitions = ["$defs", "definitions"];

/** What bears on the value, by type; anything else is refused, for it could not be kept. */
const keywords = {
  string: ["minLength", "maxLength"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  number: [],
  boolean: [],
  null: [],
  array: ["items", "minItems", "maxItems"],
  object: ["properties", "required", "additionalProperties"],
} as const satisfies Record<string, readonly string[]>;
type Type = keyof typeof keywords;

const mostDepth = 64;

type Schema = Readonly<Record<string, unknown>>;

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

  constructor(root: unknown) {
    this.#root = root;
  }

  compile(): Grammar {
    return this.#json.builder.build(this.#value(this.#root, "", 0));
  }

  #value(schema: unknown, path: string, depth: number): Part {
    if (depth > mostDepth) throw unsupported(path, `schemas may be ${mostDepth} deep`);
    if (schema === true) return this.#json.any();
    if (typeof schema !== "object" || schema === null || Array.isArray(schema))
      throw unsupported(path, "a schema is an object");
    const known = schema as Schema;
    if (known["$ref"] !== undefined) return this.#reference(known, path, depth);
    if (known["anyOf"] !== undefined) return this.#anyOf(known, path, depth);
    if (known["const"] !== undefined || known["enum"] !== undefined) return this.#listed(known, path);
    const types = typesOf(known, path);
    this.#refuseUnknown(known, path, ["type", ...(types ?? []).flatMap((type): readonly string[] => keywords[type])]);
    if (types === null) return this.#json.any();
    return this.#json.builder.choice(...types.map((type) => this.#typed(type, known, path, depth)));
  }

  #typed(type: Type, schema: Schema, path: string, depth: number): Part {
    switch (type) {
      case "string": {
        const { least, most } = span(schema, path, "minLength", "maxLength");
        return this.#json.string(least, most);
      }
      case "integer":
        return this.#integer(schema, path);
      case "number":
        return this.#json.number;
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

  #integer(schema: Schema, path: string): Part {
    const bound = (name: string, otherwise: number): number => {
      const value = schema[name] ?? otherwise;
      if (typeof value !== "number") throw unsupported(`${path}.${name}`, "a number");
      return value;
    };
    const { ceil, floor, max, min } = Math;
    const low = max(ceil(bound("minimum", -Infinity)), floor(bound("exclusiveMinimum", -Infinity)) + 1);
    const high = min(floor(bound("maximum", Infinity)), ceil(bound("exclusiveMaximum", Infinity)) - 1);
    const part = this.#json.integerWithin(low, high);
    if (part === null) throw unsupported(path, "no whole number of at most 15 digits lies within the bounds");
    return part;
  }

  #anyOf(schema: Schema, path: string, depth: number): Part {
    this.#refuseUnknown(schema, path, ["anyOf"]);
    const { anyOf } = schema;
    if (!Array.isArray(anyOf) || anyOf.length === 0) throw unsupported(`${path}.anyOf`, "a list of schemas");
    const parts = anyOf.map((one, index) => this.#value(one, `${path}.anyOf.${index}`, depth + 1));
    return this.#json.builder.choice(...parts);
  }

  #listed(schema: Schema, path: string): Part {
    this.#refuseUnknown(schema, path, ["const", "enum", "type"]);
    const values = schema["const"] === undefined ? schema["enum"] : [schema["const"]];
    if (!Array.isArray(values)) throw unsupported(`${path}.enum`, "a list of values");
    const types = typesOf(schema, path);
    const fitting = values.filter((value) => types === null || types.some((type) => isOfType(value, type)));
    if (fitting.length === 0) throw unsupported(path, "no value is left");
    return this.#json.builder.choice(...fitting.map((value) => literal(JSON.stringify(value))));
  }

  #reference(schema: Schema, path: string, depth: number): Part {
    this.#refuseUnknown(schema, path, ["$ref"]);
    const { $ref } = schema;
    if (typeof $ref !== "string" || !/^#(\/|$)/.test($ref))
      throw unsupported(`${path}.$ref`, "a place in this schema: #/...");
    const known = this.#references.get($ref);
    if (known !== undefined) return known;
    const rule = this.#json.builder.reserve();
    this.#references.set($ref, [{ rule }]);
    let target: unknown = this.#root;
    for (const step of $ref.split("/").slice(1).map(unescapePointer))
      target =
        typeof target === "object" && target !== null && Object.hasOwn(target, step)
          ? (target as Schema)[step]
          : undefined;
    if (target === undefined) throw unsupported(`${path}.$ref`, `there is no ${$ref}`);
    return this.#json.builder.define(rule, [this.#value(target, path, depth + 1)]);
  }

  #refuseUnknown(schema: Schema, path: string, known: readonly string[]): void {
    for (const keyword of Object.keys(schema))
      if (!known.includes(keyword) && !annotations.has(keyword) && !definitions.includes(keyword))
        throw unsupported(`${path}.${keyword}`, "this keyword can't be kept here");
  }
}

function typesOf(schema: Schema, path: string): readonly Type[] | null {
  const { type } = schema;
  if (type === undefined) return null;
  const types: readonly unknown[] = Array.isArray(type) ? type : [type];
  const isType = (one: unknown): one is Type => typeof one === "string" && Object.hasOwn(keywords, one);
  if (types.length === 0 || !types.every(isType)) throw unsupported(`${path}.type`, Object.keys(keywords).join(", "));
  return types;
}

function isOfType(value: unknown, type: Type): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return type === "integer" ? Number.isInteger(value) : typeof value === type;
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

function unescapePointer(step: string): string {
  return decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
}

/** `path` from the schema's root, its steps after dots. */
function unsupported(path: string, message: string): EspalierError {
  const where = path === "" ? "schema" : `schema${path}`;
  return new EspalierError("grammar.unsupported", `${where}: ${message}`, { fields: { path: where } });
}
