import assert from "node:assert/strict";
import { test } from "node:test";
import { isEnough, summarize } from "./sample.ts";

test("median, 90th percentile and spread are those of the order statistics", () => {
  const sample = summarize([5, 1, 4, 2, 3]);
  assert.deepEqual(sample, { median: 3, p90: 4.6, relativeSpread: 2 / 3, repetitions: 5, outliers: 0 });
  assert.deepEqual(summarize([7]), { median: 7, p90: 7, relativeSpread: 0, repetitions: 1, outliers: 0 });
  assert.throws(() => summarize([]), RangeError);
});

test("values far from the middle half are counted as outliers", () => {
  assert.equal(summarize([10, 10.2, 9.9, 10.1, 30]).outliers, 1);
  assert.equal(summarize([10, 10.2, 9.9, 10.1, 10.3]).outliers, 0);
});

test("a point is done when its median is known well or its time is up, and never without a value", () => {
  const policy = { minRepetitions: 3, maxMs: 100, relativeError: 0.1 };
  assert.equal(isEnough([], 1000, policy), false);
  assert.equal(isEnough([1, 1], 10, policy), false);
  assert.equal(isEnough([1, 1, 1], 10, policy), true);
  assert.equal(isEnough([1, 2, 3], 10, policy), false);
  assert.equal(isEnough([1, 2, 3], 100, policy), true);
  const many = Array.from({ length: 60 }, (_, i) => 1 + (i % 3) / 4);
  assert.equal(isEnough(many.slice(0, 6), 10, policy), false, "scattered values");
  assert.equal(isEnough(many, 10, policy), true, "as scattered, but many");
});
