import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { Problem } from "./problem.mjs";

/** @param {string} path @returns {Promise<string>} SHA-256, hexadecimal */
export async function sha256Of(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/**
 * @param {{ path: string, name?: string, expected: string }} file `name` is what the reader knows it by
 * @throws {Problem} naming the file, the expected and the actual digest
 */
export async function requireDigest({ path, name = path, expected }) {
  const actual = await sha256Of(path);
  if (actual === expected) return;
  throw new Problem(
    `${name} has another SHA-256 than the pinned one\n  expected: ${expected}\n  actual:   ${actual}`,
    "run the command again; if it repeats, the file was changed on its way (a proxy or mirror) or at its source: do not use it, and report it",
  );
}
