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

/** The content address of a JSON value in canonical form (RFC 8785), so that key order never changes it. */
export function digestOfJson(value: unknown): Digest {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("digestOfJson: the value has no JSON form");
  return digestOfBytes(text);
}
