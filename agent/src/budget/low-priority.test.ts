import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { it } from "node:test";
import { promisify } from "node:util";

/** In a process of its own: a priority that was given up is not to be had back. */
const script = `
import { readdirSync, readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { yieldToOthers } from ${JSON.stringify(new URL("./low-priority.ts", import.meta.url).href)};
const threads = () => readdirSync("/proc/self/task");
const niceness = (thread) => Number(readFileSync("/proc/self/task/" + thread + "/stat", "utf8").split(") ")[1].split(" ")[16]);
const before = threads();
yieldToOthers();
const worker = new Worker("import { parentPort } from 'node:worker_threads'; parentPort.once('message', () => {});", { eval: true });
worker.once("online", () => {
  const started = threads().filter((thread) => !before.includes(thread));
  console.log(JSON.stringify({ main: niceness(String(process.pid)), started: started.map(niceness) }));
  worker.postMessage("end");
});
`;

it("a low priority holds for the threads that are started later, which compute", {
  skip: process.platform !== "linux",
}, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
  const { main, started } = JSON.parse(stdout) as { main: number; started: number[] };
  assert.equal(main, 19);
  assert.ok(started.length > 0);
  assert.ok(started.every((niceness) => niceness === 19));
});
