import assert from "node:assert/strict";
import { test } from "node:test";
import { studentQuantile95 } from "./run-spread.ts";

test("Student's quantile is the tables' to a few percent, and the normal one for many", () => {
  for (const [degrees, tabulated] of [
    [2, 2.92],
    [3, 2.353],
    [6, 1.943],
    [9, 1.833],
    [1e6, 1.645],
  ] as const) {
    assert.ok(Math.abs(studentQuantile95(degrees) / tabulated - 1) < 0.04, `${degrees}: ${studentQuantile95(degrees)}`);
  }
});
