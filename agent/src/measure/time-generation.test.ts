import assert from "node:assert/strict";
import { test } from "node:test";
import { isTimedEnough } from "./time-generation.ts";

const times = (requests: number, ms: number, pauses = 0) => {
  const each = Array.from({ length: requests }, (_, index) => (index < pauses ? 900 : ms));
  return { ttftMs: each, tpotMs: each };
};
const quick = 1_000;

test("without a limit a dozen requests are enough, and five where they take long", () => {
  assert.equal(isTimedEnough(times(11, 20), quick, {}), false);
  assert.equal(isTimedEnough(times(12, 20), quick, {}), true);
  assert.equal(isTimedEnough(times(4, 20), 60_000, {}), false);
  assert.equal(isTimedEnough(times(5, 20), 6_000, {}), true);
});

test("under a limit requests go on until they tell, but not for ever", () => {
  const limits = { tpotP90Ms: 25 };
  assert.equal(isTimedEnough(times(5, 2_000), 10_000, limits), true, "five that are all above tell at once");
  assert.equal(isTimedEnough(times(5, 20), 10_000, limits), false, "five below don't");
  assert.equal(isTimedEnough(times(10, 20), 20_000, limits), true);
  assert.equal(isTimedEnough(times(12, 20, 1), quick, limits), false, "a pause asks for more");
  assert.equal(isTimedEnough(times(15, 20, 1), quick, limits), true);
  assert.equal(isTimedEnough(times(60, 20, 11), quick, limits), true, "the most that is made");
  assert.equal(isTimedEnough(times(13, 20, 3), 60_000, limits), true, "the longest that is waited");
});
