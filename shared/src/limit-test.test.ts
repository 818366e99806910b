import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeCount, judgeLimit, limitTest } from "./limit-test.ts";

/** Probability of `k` above among `n` (binomial), by products instead of logarithms. */
function binomial(n: number, k: number, share: number): number {
  let value = 1;
  for (let i = 1; i <= k; i++) value *= ((n - k + i) / i) * share;
  return value * (1 - share) ** (n - k);
}

test("a verdict is the ratio of what a broken and what a kept limit would have made of the requests", () => {
  for (let n = 0; n <= 60; n++) {
    for (let k = 0; k <= n; k++) {
      const ratio = binomial(n, k, limitTest.brokenShare) / binomial(n, k, limitTest.keptShare);
      const expected = ratio >= 1 / limitTest.falseAlarm ? "broken" : ratio <= limitTest.missed ? "kept" : "undecided";
      assert.equal(judgeCount(n, k), expected, `${k} of ${n} above`);
    }
  }
});

/** Probability that a device which looks after each request ever hears `verdict`, exactly: paths are stopped when they end. */
function everHears(verdict: "kept" | "broken", share: number): number {
  let open = new Map([[0, 1]]);
  let heard = 0;
  for (let n = 1; n <= 200; n++) {
    const next = new Map<number, number>();
    for (const [k, probability] of open) {
      for (const [above, factor] of [
        [k + 1, share],
        [k, 1 - share],
      ] as const) {
        const now = judgeCount(n, above);
        if (now === verdict) heard += probability * factor;
        if (now === "undecided") next.set(above, (next.get(above) ?? 0) + probability * factor);
      }
    }
    open = next;
  }
  return heard;
}

test("looking after each request, a limit that is just kept fails in at most 1 % of cases, one well broken passes in at most 10 %", () => {
  assert.ok(everHears("broken", limitTest.keptShare) <= limitTest.falseAlarm);
  assert.ok(everHears("kept", limitTest.brokenShare) <= limitTest.missed);
  assert.ok(everHears("broken", 0.02) < 1e-4, "a machine that pauses once in fifty requests");
  assert.ok(everHears("broken", 0.9) > 0.999, "a slow variant");
});

test("five slow requests fail, ten quick ones pass, and a pause among them only asks for some more", () => {
  const quick = (count: number) => Array.from({ length: count }, () => 10);
  assert.equal(judgeLimit([30, 30, 30, 30, 30], 20), "broken");
  assert.equal(judgeLimit(quick(10), 20), "kept");
  assert.equal(judgeLimit([900, ...quick(9)], 20), "undecided");
  assert.equal(judgeLimit([900, ...quick(14)], 20), "kept");
  assert.equal(judgeLimit(quick(20), 10), "kept", "at the limit is not above it");
});
