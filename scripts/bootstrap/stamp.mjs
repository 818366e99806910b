import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "./place-whole.mjs";

/**
 * A stamp says that a step was finished, and from which inputs.
 * INVARIANT: it is cleared before the step changes anything and written after the last change, so a crash
 * in between leaves no stamp.
 */
const fileOf = (home, step) => join(home, "stamps", `${step}.json`);

/** @param {(string | Buffer)[]} inputs  @returns {string} the same for the same inputs in the same order */
export function hashInputs(inputs) {
  const hash = createHash("sha256");
  for (const input of inputs) hash.update(`${Buffer.byteLength(input)}:`).update(input);
  return hash.digest("hex");
}

/** @returns {Promise<Record<string, string> | undefined>} undefined if the step never finished, or the stamp is unreadable */
export async function readStamp(home, step) {
  try {
    const stamp = JSON.parse(await readFile(fileOf(home, step), "utf8"));
    return typeof stamp === "object" && stamp !== null ? stamp : undefined;
  } catch {
    return undefined; // absent or damaged: the step is simply done again
  }
}

/** @param {Record<string, string>} stamp */
export async function writeStamp(home, step, stamp) {
  await writeWhole(fileOf(home, step), `${JSON.stringify(stamp, null, 2)}\n`);
}

export async function clearStamp(home, step) {
  await rm(fileOf(home, step), { force: true });
}
