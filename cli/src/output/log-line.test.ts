import assert from "node:assert/strict";
import { test } from "node:test";
import { levelOf, logText } from "./log-line.ts";

const line = JSON.stringify({
  level: 40,
  time: "2026-05-01T10:00:00.000Z",
  name: "agent",
  problem: "no route",
  waitMs: 250,
  msg: "session ended; connecting again",
});

test("a line of an agent's log is shown with time, level, message and fields", () => {
  const text = logText(line);
  assert.match(
    text,
    /^2026-05-01T10:00:00.000Z {2}warn {1,3}session ended; connecting again {2}problem=no route waitMs=250$/,
  );
});

test("a line that was cut off is shown as it came, at every level", () => {
  const cut = line.slice(0, 40);
  assert.equal(logText(cut), cut);
  assert.ok(levelOf(cut) > levelOf(line));
  assert.ok(levelOf(line) > levelOf(line.replace("40", "30")));
});
