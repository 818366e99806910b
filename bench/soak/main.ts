import { fork } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { TinyRecipe } from "../../test/fixtures/tiny-artifact.ts";
import { nextMessage } from "../next-message.ts";
import { createClient } from "./requests.ts";
import type { Listening, Swapped, ToServer } from "./server.ts";

/**
 * Serves the bundled model for some minutes to applications that ask, sample, stream and leave, while its variant is swapped
 * all the time. Writes docs/measurements/soak.{md,json}. Fails when a request failed, a seeded answer changed, or memory
 * grew.
 */
const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } });
const minutes = Number(values.minutes);
const recipes: readonly TinyRecipe[] = ["dense-q8b128", "dense-q4b32"];
const clientCount = 6;
/** Memory after the last swap may exceed that after an early one by this share. */
const allowedGrowth = 0.05;
const earlySwap = 10;
const leastSwaps = 100;

const child = fork(fileURLToPath(new URL("./server.ts", import.meta.url)), {
  // As an agent is started (cli/src/up/stack.ts, deploy/systemd).
  env: { ...process.env, MALLOC_ARENA_MAX: "1" },
  stdio: ["ignore", "inherit", "inherit", "ipc"],
});
const errors: string[] = [];
const residentBytes: number[] = [];
async function swap(): Promise<void> {
  const request: ToServer = { recipe: recipes[residentBytes.length % recipes.length] ?? "dense-q8b128" };
  child.send(request);
  const swapped = await nextMessage<Swapped>(child, "the server");
  residentBytes.push(swapped.residentBytes);
  errors.push(...swapped.failures);
}

const { url } = await nextMessage<Listening>(child, "the server");
await swap();
const until = performance.now() + minutes * 60_000;
const known = new Map<string, string>();
const clients = Array.from({ length: clientCount }, (_, i) => createClient(url, i + 1, known));
const asking = Promise.all(clients.map((client) => client.run(until)));
while (performance.now() < until || residentBytes.length <= leastSwaps) await swap();
await asking;
child.kill("SIGKILL");

const sum = (field: "answered" | "cancelled" | "refused" | "tokens"): number =>
  clients.reduce((total, { tally }) => total + tally[field], 0);
errors.push(...clients.flatMap(({ tally }) => tally.errors));
for (const error of errors.slice(0, 10)) process.stderr.write(`${error}\n`);
/** One value is what a moment's requests hold; the least of ten in a row is what stays. */
const stays = (swapNumber: number): number => Math.min(...residentBytes.slice(swapNumber - 10, swapNumber));
const early = stays(earlySwap + 10);
const late = stays(residentBytes.length);
const growth = late / early - 1;
const goals = [
  { name: "errors, answers that changed and failed requests", value: errors.length, goal: 0, met: errors.length === 0 },
  {
    name: `growth of resident memory from swap ${earlySwap} to ${residentBytes.length}`,
    value: Number(growth.toFixed(4)),
    goal: allowedGrowth,
    met: growth <= allowedGrowth,
  },
];
const row = {
  minutes,
  swaps: residentBytes.length,
  answered: sum("answered"),
  cancelled: sum("cancelled"),
  refused: sum("refused"),
  residentEarlyBytes: early,
  residentLateBytes: late,
};
const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}`;
const date = new Date().toISOString().slice(0, 10);
const command = `make soak MINUTES=${minutes}`;
const folder = fileURLToPath(new URL("../../docs/measurements", import.meta.url));
await writeFile(
  join(folder, "soak.json"),
  `${JSON.stringify({ command, machine, date, rows: [row], goals }, null, 2)}\n`,
);
await writeFile(
  join(folder, "soak.md"),
  `# Serving under everything at once

\`${command}\`; ${machine}; ${date}. One process serves the bundled model (one thread) to ${clientCount} applications at
once: chats and completions, plain and streamed, greedy and sampled, several answers, log probabilities, long prompts; one
in five leaves in the middle. Meanwhile the variant is swapped as fast as the next one loads beside it. An equal request
with a seed must get an equal answer from the same variant; memory is the least resident set of ten swaps in a row.

| minutes | swaps | answered | left by the client | answered 429 | resident at swap ${earlySwap} to ${earlySwap + 10} | at the last ten |
|---|---|---|---|---|---|---|
| ${minutes} | ${row.swaps} | ${row.answered} | ${row.cancelled} | ${row.refused} | ${(early / 1e6).toFixed(1)} MB | ${(late / 1e6).toFixed(1)} MB |

| goal | at most | measured | |
|---|---|---|---|
${goals.map(({ name, goal, value, met }) => `| ${name} | ${goal} | ${value} | ${met ? "met" : "**missed**"} |`).join("\n")}
`,
);
process.exit(goals.every(({ met }) => met) ? 0 : 1);
