import { EspalierError } from "@espalier/shared/errors";

/** A JSON Schema that isn't just true or false. */
export type Schema = Readonly<Record<string, unknown>>;

/** What bears on the value, by type; anything else is refused, for it could not be kept. */
export const keywords = {
  string: ["minLength", "maxLength", "pattern", "format"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  boolean: [],
  null: [],
  array: ["items", "minItems", "maxItems"],
  object: ["properties", "required", "additionalProperties"],
} as const satisfies Record<string, readonly string[]>;
export type Type = keyof typeof keywords;

/** Null where the schema says nothing of it. */
export function typesOf(schema: Schema, path: string): readonly Type[] | null {
  const { type } = schema;
  if (type === undefined) return null;
  const types: readonly unknown[] = Array.isArray(type) ? type : [type];
  const isType = (one: unknown): one is Type => typeof one === "string" && Object.hasOwn(keywords, one);
  if (types.length === 0 || !types.every(isType)) throw unsupported(`${path}.type`, Object.keys(keywords).join(", "));
  return types;
}

export function isOfType(value: unknown, type: Type): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return type === "integer" ? Number.isInteger(value) : typeof value === type;
}

/** Follows `#/...` from the root. */
export function resolve(root: unknown, reference: unknown, path: string): unknown {
  if (typeof reference !== "string" || !/^#(\/|$)/.test(reference))
    throw unsupported(`${path}.$ref`, "a place in this schema: #/...");
  let target: unknown = root;
  for (const step of reference.split("/").slice(1).map(unescapePointer))
    target =
      typeof target === "object" && target !== null && Object.hasOwn(target, step)
        ? (target as Schema)[step]
        : undefined;
  if (target === undefined) throw unsupported(`${path}.$ref`, `there is no ${reference}`);
  return target;
}

function unescapePointer(step: string): string {
  return decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
}

/** `path` from the schema's root, its steps after dots. */
export function unsupported(path: string, message: string): EspalierError {
  const where = path === "" ? "schema" : `schema${path}`;
  return new EspalierError("grammar.unsupported", `${where}: ${message}`, { fields: { path: where } });
}
