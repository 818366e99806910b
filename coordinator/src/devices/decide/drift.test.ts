import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { type DriftState, watchDrift } from "./drift.ts";

const provenMs = 10;

/** Windows of 20 requests at these times per output token; which of them asked for measuring. */
function asks(windowsMs: readonly number[], requests = 20, restartAt = -1): number[] {
  const variant = { artifactDigest: digestOfJson("variant"), name: "v" };
  let state: DriftState | undefined;
  let [count, sumSeconds, startedAtMs] = [0, 0, 1];
  const look = () => {
    const seen = watchDrift(
      state,
      { variant, startedAtMs, timePerOutputToken: { counts: [count], sumSeconds } },
      provenMs,
    );
    state = seen.state;
    return seen.drifted !== null;
  };
  look();
  return windowsMs.flatMap((ms, index) => {
    if (index === restartAt) {
      [count, sumSeconds, startedAtMs] = [0, 0, startedAtMs + 1];
      look();
    }
    count += requests;
    sumSeconds += (requests * ms) / 1000;
    return look() ? [index] : [];
  });
}

test("three windows in a row far off, slower or faster, ask once", () => {
  assert.deepEqual(asks([10, 16, 16, 16, 16, 16, 16, 16]), [3]);
  assert.deepEqual(asks([6, 6, 6, 6]), [2]);
});

test("a near window between starts the count anew, and one that is off only a little asks nothing", () => {
  assert.deepEqual(asks([16, 16, 10, 16, 16]), []);
  assert.deepEqual(asks([14, 14, 14, 14, 14]), []);
});

test("it asks again only after it was near again", () => {
  assert.deepEqual(asks([16, 16, 16, 14, 16, 16, 16]), [2]);
  assert.deepEqual(asks([16, 16, 16, 11, 16, 16, 16]), [2, 6]);
});

test("a restart neither asks nor arms", () => {
  assert.deepEqual(asks([16, 16, 16, 16, 16, 16], 20, 3), [2]);
  assert.deepEqual(asks([16, 16, 16, 16], 20, 2), []);
});

test("a few requests say nothing", () => {
  assert.deepEqual(asks([99, 99, 99], 5), []);
});
