import { isDeepStrictEqual } from "node:util";
import type { Schema } from "./schema.ts";

/** How two values of one keyword become one that says both; null where nothing does. */
const mergers: Readonly<Record<string, (a: unknown, b: unknown) => unknown>> = {
  type: (a, b) => {
    const others = listOf(b);
    const shared = listOf(a).flatMap((type) => {
      if (others.includes(type)) return [type];
      if (type === "number" && others.includes("integer")) return ["integer"];
      return type === "integer" && others.includes("number") ? [type] : [];
    });
    return shared.length === 0 ? null : shared;
  },
  enum: (a, b) => {
    const shared = listOf(a).filter((value) => listOf(b).some((other) => isDeepStrictEqual(value, other)));
    return shared.length === 0 ? null : shared;
  },
  required: (a, b) => [...new Set([...listOf(a), ...listOf(b)])],
  properties: (a, b) => {
    const merged: Record<string, unknown> = { ...(a as Schema) };
    for (const [name, schema] of Object.entries(b as Schema))
      merged[name] = Object.hasOwn(merged, name) ? { allOf: [merged[name], schema] } : schema;
    return merged;
  },
  items: (a, b) => ({ allOf: [a, b] }),
  additionalProperties: (a, b) => (a === false || b === false ? false : { allOf: [a, b] }),
  ...Object.fromEntries(["minimum", "exclusiveMinimum", "minLength", "minItems"].map((name) => [name, larger])),
  ...Object.fromEntries(["maximum", "exclusiveMaximum", "maxLength", "maxItems"].map((name) => [name, smaller])),
};

/**
 * One schema for what both demand, or a part of it; null where nothing is left or two demands can't be said as one. Neither refers or
 * has `allOf`, `anyOf` or `oneOf`.
 */
export function mergeSchemas(first: Schema, second: Schema): Schema | null {
  const [a, b] = [enumForConst(first), enumForConst(second)];
  const merged: Record<string, unknown> = { ...a };
  for (const [keyword, value] of Object.entries(b)) {
    const before = merged[keyword];
    const joined =
      before === undefined || isDeepStrictEqual(before, value) ? value : (mergers[keyword]?.(before, value) ?? null);
    if (joined === null) return null;
    merged[keyword] = joined;
  }
  const properties = merged["properties"];
  return properties === undefined ? merged : { ...merged, properties: withAdditional(properties as Schema, [a, b]) };
}

/** What a side says of additional properties holds for those that only the other one names; forbidden ones are left out. */
function withAdditional(properties: Schema, sides: readonly Schema[]): Schema {
  const found: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(properties)) {
    const additional = sides
      .filter((side) => !Object.hasOwn((side["properties"] ?? {}) as Schema, name))
      .map(({ additionalProperties = true }) => additionalProperties);
    if (additional.includes(false)) continue;
    const demands = additional.filter((one) => one !== true);
    found[name] = demands.length === 0 ? schema : { allOf: [schema, ...demands] };
  }
  return found;
}

function enumForConst(schema: Schema): Schema {
  if (schema["const"] === undefined) return schema;
  const { const: value, ...rest } = schema;
  return { ...rest, enum: [value] };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function larger(a: unknown, b: unknown): unknown {
  return typeof a === "number" && typeof b === "number" ? Math.max(a, b) : null;
}

function smaller(a: unknown, b: unknown): unknown {
  return typeof a === "number" && typeof b === "number" ? Math.min(a, b) : null;
}
