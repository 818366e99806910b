import assert from "node:assert/strict";
import { test } from "node:test";
import { createOptions, feasible, feasibleWhenLooser, feasibleWith, infeasible, loosenings } from "./options.ts";

test("devices that may do the same share their options, whatever becomes of the codes they were read from", () => {
  const optionsOf = createOptions();
  const codes = Uint8Array.of(infeasible, feasible, feasibleWith(2, 3), feasible);
  const first = optionsOf(codes);
  assert.deepEqual(first, { feasible: [1, 3], near: [2, 2, 3], id: 0 });
  codes[0] = feasible;
  assert.deepEqual(optionsOf(codes), { feasible: [0, 1, 3], near: [2, 2, 3], id: 1 });
  codes[0] = infeasible;
  assert.equal(optionsOf(codes), first);
});

test("every limit and loosening has a code of its own, which reads back", () => {
  const optionsOf = createOptions();
  for (let limit = 0; limit < 6; limit++)
    for (const step of loosenings.keys())
      assert.deepEqual(optionsOf(Uint8Array.of(feasibleWith(limit, step))).near, [0, limit, step]);
});

test("a looser limit adds the candidates that break it alone, by as much at most", () => {
  const options = createOptions()(Uint8Array.of(feasibleWith(1, 2), feasible, feasibleWith(0, 0)));
  assert.deepEqual(feasibleWhenLooser(options, 1, 1), [1]);
  assert.deepEqual(feasibleWhenLooser(options, 1, 2), [0, 1]);
  assert.deepEqual(feasibleWhenLooser(options, 0, 6), [1, 2]);
});
