import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "@espalier/shared/logging";
import { createLogRing } from "./log-ring.ts";

function ringWith(count: number) {
  const ring = createLogRing();
  for (let line = 1; line <= count; line++) ring.write(`${line}\n`);
  return ring;
}

test("the newest lines come first, and then what was written since", () => {
  const ring = ringWith(10);
  const first = ring.read({ after: 0, lines: 3 });
  assert.deepEqual(first, { lines: ["8", "9", "10"], next: 11, missed: 0 });
  assert.deepEqual(ring.read({ after: first.next, lines: 3 }), { lines: [], next: 11, missed: 0 });
  for (const line of ["11", "12"]) ring.write(line);
  assert.deepEqual(ring.read({ after: 11, lines: 1 }), { lines: ["11"], next: 12, missed: 0 });
  assert.deepEqual(ring.read({ after: 12, lines: 5 }).lines, ["12"]);
});

test("it holds a bounded number of bounded lines, and says how many a slow reader missed", () => {
  const ring = ringWith(2_500);
  const { lines, missed, next } = ring.read({ after: 100, lines: 1 });
  assert.deepEqual([lines, missed, next], [["1501"], 1_401, 1_502]);
  assert.equal(ring.read({ after: 0, lines: 5_000 }).lines.length, 1_000);
  ring.write("x".repeat(1_000_000));
  assert.equal(ring.read({ after: 0, lines: 1 }).lines[0]?.length, 2_048);
});

test("a reader of an agent that started anew reads from its first line", () => {
  assert.deepEqual(ringWith(2).read({ after: 500, lines: 10 }), { lines: ["1", "2"], next: 3, missed: 0 });
  assert.deepEqual(ringWith(0).read({ after: 0, lines: 10 }), { lines: [], next: 1, missed: 0 });
});

test("a logger writes what its level lets through into the ring", () => {
  const ring = createLogRing();
  const log = createLogger("agent", "error", [ring]);
  log.info("not this");
  log.error({ deviceId: "dev-1" }, "this");
  const [line = "", ...others] = ring.read({ after: 0, lines: 10 }).lines;
  assert.deepEqual(others, []);
  assert.equal(JSON.parse(line).msg, "this");
});
