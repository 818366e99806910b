import { isDeepStrictEqual } from "node:util";
import { isOfType, type Schema, type Type, typesOf } from "./schema.ts";

/** Nested discriminators that are looked into. */
const mostDepth = 4;

/**
 * Whether surely no value is valid for both: they are of other types, are listed and none is in both lists, or are objects with a
 * property that each requires and that is disjoint (a discriminator). `plain` works a schema out into its alternatives.
 */
export function areDisjoint(a: unknown, b: unknown, plain: (schema: unknown) => readonly Schema[], depth = 0): boolean {
  if (depth > mostDepth || a === undefined || b === undefined) return false;
  const others = plain(b);
  return plain(a).every((left) => others.every((right) => plainDisjoint(left, right, plain, depth)));
}

function plainDisjoint(
  left: Schema,
  right: Schema,
  plain: (schema: unknown) => readonly Schema[],
  depth: number,
): boolean {
  const [ofLeft, ofRight] = [valuesOf(left), valuesOf(right)];
  if (ofLeft !== null && ofRight !== null)
    return !ofLeft.some((value) => ofRight.some((other) => isDeepStrictEqual(value, other)));
  const [types, others] = [possibleTypes(left), possibleTypes(right)];
  if (types === null || others === null) return false;
  if (!types.some((type) => others.some((other) => type === other || isNumber(type, other)))) return true;
  if (types.length > 1 || others.length > 1 || types[0] !== "object") return false;
  return requiredOf(left)
    .filter((name) => requiredOf(right).includes(name))
    .some((name) => areDisjoint(propertyOf(left, name), propertyOf(right, name), plain, depth + 1));
}

function isNumber(a: Type, b: Type): boolean {
  return (a === "number" && b === "integer") || (a === "integer" && b === "number");
}

function valuesOf(schema: Schema): readonly unknown[] | null {
  if (schema["const"] !== undefined) return [schema["const"]];
  return Array.isArray(schema["enum"]) ? schema["enum"] : null;
}

function possibleTypes(schema: Schema): readonly Type[] | null {
  const values = valuesOf(schema);
  if (values === null) return typesOf(schema, "");
  const all: readonly Type[] = ["string", "number", "boolean", "null", "array", "object"];
  return all.filter((type) => values.some((value) => isOfType(value, type)));
}

function requiredOf({ required }: Schema): readonly unknown[] {
  return Array.isArray(required) ? required : [];
}

function propertyOf({ properties }: Schema, name: unknown): unknown {
  return typeof properties === "object" && properties !== null ? (properties as Schema)[String(name)] : undefined;
}
