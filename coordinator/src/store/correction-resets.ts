import { z } from "zod";
import type { Queries } from "./database.ts";
import { readJson } from "./json-column.ts";
import { readMeta, writeMeta } from "./meta.ts";

const key = "correction_resets";
/** When the corrections of each class were last reset, in ms; the empty name stands for all. */
const Resets = z.record(z.string(), z.number());

/** When the corrections of a class were last reset; -Infinity if never. */
export async function readCorrectionResets(db: Queries): Promise<(hardwareClass: string) => number> {
  const text = await readMeta(db, key);
  const resets = text === null ? {} : readJson(text, Resets, "resets of corrections");
  return (hardwareClass) => Math.max(resets[""] ?? -Infinity, resets[hardwareClass] ?? -Infinity);
}

/** What was measured until `atMs` corrects the class no more; the empty name resets all. */
export async function resetCorrections(db: Queries, hardwareClass: string, atMs: number): Promise<void> {
  const text = await readMeta(db, key);
  const before = text === null ? {} : readJson(text, Resets, "resets of corrections");
  await writeMeta(db, key, JSON.stringify(hardwareClass === "" ? { "": atMs } : { ...before, [hardwareClass]: atMs }));
}
