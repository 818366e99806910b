import assert from "node:assert/strict";
import { test } from "node:test";
import { Watchdog } from "./watchdog.ts";

test("a watchdog tells of silence while something is expected, and of nothing else", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const progress = new Int32Array(new SharedArrayBuffer(4));
  let silences = 0;
  const watchdog = new Watchdog({ progress, patienceMs: 100, onSilence: () => (silences += 1) });
  t.mock.timers.tick(1_000);
  assert.equal(silences, 0, "nothing is expected");

  watchdog.expect();
  watchdog.expect();
  for (let turn = 0; turn < 10; turn += 1) {
    Atomics.add(progress, 0, 1);
    t.mock.timers.tick(99);
  }
  assert.equal(silences, 0, "it gets on");

  watchdog.done();
  t.mock.timers.tick(200);
  assert.ok(silences > 0, "one of two is still expected");

  watchdog.done();
  silences = 0;
  t.mock.timers.tick(1_000);
  assert.equal(silences, 0, "all is done");
});
