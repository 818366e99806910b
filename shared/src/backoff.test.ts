import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffDelayMs } from "./backoff.ts";

const policy = { firstMs: 100, maxMs: 1000, factor: 2 };

test("the wait doubles with each attempt and stops at the cap", () => {
  const longest = [1, 2, 3, 4, 5, 50, 5000].map((attempt) => backoffDelayMs(policy, attempt, 1));
  assert.deepEqual(longest, [100, 200, 400, 800, 1000, 1000, 1000]);
});

test("jitter spreads the wait over its upper half, never to zero", () => {
  assert.equal(backoffDelayMs(policy, 2, 0), 100);
  assert.equal(backoffDelayMs(policy, 2, 0.5), 150);
});
