import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import { ApiError } from "./api-error.ts";

/** Throws a 401 unless the `Authorization` header carries the key. A null key lets everybody in. */
export function checkApiKey(key: string | null, authorization: string | undefined): void {
  if (key === null) return;
  const presented = /^Bearer (.+)$/i.exec(authorization ?? "")?.[1];
  // Digests are of one length and tell nothing about the key by the time that comparing takes.
  if (presented !== undefined && timingSafeEqual(digest(presented), digest(key))) return;
  throw new ApiError(401, "invalid_api_key", "This device's API wants its key as `Authorization: Bearer KEY`", {
    headers: { "www-authenticate": "Bearer" },
  });
}

/** The key in a file, without the line's end. Throws `api.no-key` when there is none. */
export async function readApiKey(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw noKey(path, messageOf(error));
  });
  const key = text.trim();
  if (key === "") throw noKey(path, "the file is empty");
  return key;
}

function noKey(path: string, why: string): EspalierError {
  return new EspalierError("api.no-key", `Cannot read the local API's key from ${path}: ${why}`, {
    fields: { path },
    remedy: "Write a key of your choice into the file, or leave --api-key-file away.",
  });
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
