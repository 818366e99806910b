import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { conditions } from "./pieces.ts";

/** Measures under one budget after another, each in a process of its own since a budget holds for a process, for `--minutes`, or under one. */
const { values } = parseArgs({
  options: {
    folder: { type: "string", default: ".espalier/bench-prediction" },
    minutes: { type: "string", default: "120" },
    budget: { type: "string" },
  },
});
const untilMs = performance.now() + Number(values.minutes) * 60_000;

for (const budget of values.budget === undefined ? Object.keys(conditions) : [values.budget]) {
  const seconds = Math.floor((untilMs - performance.now()) / 1000);
  if (seconds <= 0) break;
  const { status, error } = spawnSync(
    process.execPath,
    [
      fileURLToPath(new URL("./run.ts", import.meta.url)),
      ...["--graphs", join(values.folder, "graphs"), "--rows", join(values.folder, "rows.jsonl")],
      ...["--budget", budget, "--seconds", String(seconds)],
    ],
    { stdio: "inherit" },
  );
  if (status !== 0) throw error ?? new Error(`measuring under "${budget}" ended with exit code ${status}`);
}
