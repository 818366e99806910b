import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "./place-whole.mjs";

/**
 * `.espalier/env.json` tells the tests and the demo where the programs are; all paths are absolute.
 * INVARIANT: it exists only while everything it names is installed whole. Removed before a step changes anything,
 * written after the last one.
 * @typedef {{ node: string, python: string, natsServer: string, prometheus: string, promtool: string, demoModel?: string }} EnvironmentPaths
 */
const fileOf = (home) => join(home, "env.json");

/** @param {string} home @param {EnvironmentPaths} paths */
export async function publishEnvironment(home, paths) {
  const text = `${JSON.stringify(paths, null, 2)}\n`;
  const present = await readFile(fileOf(home), "utf8").catch(() => undefined);
  if (present !== text) await writeWhole(fileOf(home), text);
}

/** @param {string} home */
export async function withdrawEnvironment(home) {
  await rm(fileOf(home), { force: true });
}
