import { chmod, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { placeWhole } from "./place-whole.mjs";
import { Problem } from "./problem.mjs";
import { requireTool } from "./tool-version.mjs";

/**
 * Takes the first candidate that runs and is recent enough. One found on PATH is used where it is; others are
 * copied to `binFolder`.
 * INVARIANT: a program in `binFolder` has run on this machine.
 * @param {{ tool: import("./wanted-tools.mjs").WantedTool, routes: import("./tool-routes.mjs").Route[], binFolder: string }} wanted
 * @returns {Promise<{ path: string, version: string, route: string }>}
 * @throws {Problem} listing what each route said
 */
export async function obtainTool({ tool, routes, binFolder }) {
  const refusals = [];
  for (const { title, candidates } of routes) {
    let tried = 0;
    try {
      for await (const candidate of candidates(tool)) {
        tried++;
        try {
          const version = await requireTool(candidate, tool);
          const path = title === "on PATH" ? candidate : await install(candidate, join(binFolder, tool.name));
          return { path, version, route: title };
        } catch (error) {
          refusals.push(refusal(title, error));
        }
      }
      if (tried === 0) refusals.push(`${title}: not found`);
    } catch (error) {
      refusals.push(refusal(title, error));
    }
  }
  const minimum = tool.minimum.join(".");
  throw new Problem(
    `${tool.name} ${minimum} or newer could not be obtained\n${refusals.map((line) => `  - ${line}`).join("\n")}`,
    `connect this machine to its package mirror or to github.com, or put a ${tool.name} ${minimum} or newer on PATH`,
  );
}

function refusal(title, error) {
  if (!(error instanceof Problem)) throw error;
  return `${title}: ${error.what.replaceAll("\n", "\n    ")}`;
}

async function install(from, to) {
  await placeWhole(to, async (partial) => {
    await copyFile(from, partial);
    await chmod(partial, 0o755);
  });
  return to;
}
