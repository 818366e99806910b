import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { z } from "zod";

/** A content address: `sha256:` and 64 lower-case hex digits. */
export const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, "expected sha256:<64 lower-case hex digits>");
export type Digest = z.infer<typeof Digest>;

/** The content address of raw bytes. */
export function digestOfBytes(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A JSON value in canonical form (RFC 8785): the bytes that its digest names. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("canonicalJson: the value has no JSON form");
  return text;
}

/** The content address of a JSON value in canonical form, so that key order never changes it. */
export function digestOfJson(value: unknown): Digest {
  return digestOfBytes(canonicalJson(value));
}
