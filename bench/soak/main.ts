import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { builtArtifact } from "../../test/fixtures/built-artifact.ts";
import { tinyModel, tinyRecipes } from "../../test/fixtures/tiny-artifact.ts";
import { nextMessage } from "../next-message.ts";
import { goalsOf, writeSoak } from "./report.ts";
import { createClient } from "./requests.ts";
import type { Listening, Swapped, ToServer } from "./server.ts";

/**
 * Serves a model for some minutes to applications that ask, sample, stream and leave, while its variant is swapped all the
 * time. Writes docs/measurements/soak.{md,json}. Fails when a request failed, a seeded answer changed, or memory grew.
 */
const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, model: { type: "string" }, clients: { type: "string" } },
});
const minutes = Number(values.minutes);
const clientCount = Number(values.clients ?? 6);
const leastSwaps = 100;
const source = values.model === undefined ? tinyModel : { ...tinyModel, model: values.model };
const variants = [
  await builtArtifact(source, tinyRecipes["dense-q8b128"]),
  await builtArtifact(source, tinyRecipes["dense-q4b32"]),
];
const model = variants[0]?.manifest.modelName ?? "";

const child = fork(fileURLToPath(new URL("./server.ts", import.meta.url)), {
  // As an agent is started (cli/src/up/stack.ts, deploy/systemd).
  env: { ...process.env, MALLOC_ARENA_MAX: "1" },
  stdio: ["ignore", "inherit", "inherit", "ipc"],
});
const errors: string[] = [];
const residentBytes: number[] = [];
async function swap(): Promise<void> {
  const request: ToServer = { folder: variants[residentBytes.length % variants.length]?.folder ?? "" };
  child.send(request);
  const swapped = await nextMessage<Swapped>(child, "the server");
  residentBytes.push(swapped.residentBytes);
  errors.push(...swapped.failures);
}

const { url } = await nextMessage<Listening>(child, "the server");
await swap();
const startMs = performance.now();
const stop = new AbortController();
const known = new Map<string, string>();
const clients = Array.from({ length: clientCount }, (_, i) => createClient({ url, model, seed: i + 1, known }));
const asking = Promise.all(clients.map((client) => client.run(stop.signal)));
while (performance.now() - startMs < minutes * 60_000 || residentBytes.length <= leastSwaps) await swap();
stop.abort();
await asking;
child.kill("SIGKILL");

const sum = (field: "answered" | "cancelled" | "refused"): number =>
  clients.reduce((total, { tally }) => total + tally[field], 0);
errors.push(...clients.flatMap(({ tally }) => tally.errors));
for (const error of errors.slice(0, 10)) process.stderr.write(`${error}\n`);
/** One value is what a moment's requests hold; the least of ten in a row is what stays. */
const stays = (swapNumber: number): number => Math.min(...residentBytes.slice(swapNumber - 10, swapNumber));
const row = {
  model,
  minutes: Math.round((performance.now() - startMs) / 60_000),
  swaps: residentBytes.length,
  answered: sum("answered"),
  cancelled: sum("cancelled"),
  refused: sum("refused"),
  errors: errors.length,
  residentEarlyBytes: stays(20),
  residentLateBytes: stays(residentBytes.length),
};
await writeSoak(row);
const goals = goalsOf(row);
for (const { name, value, goal } of goals) process.stdout.write(`${name}: ${value} (${goal})\n`);
process.exit(goals.every(({ met }) => met) ? 0 : 1);
