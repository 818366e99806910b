import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "./errors.ts";
import { matchesSelector, parseSelector } from "./selector.ts";

test("the empty selector matches every device", () => {
  assert.equal(matchesSelector("", {}), true);
  assert.equal(matchesSelector("", { tier: "small" }), true);
});

test("every requirement must hold", () => {
  const labels = { tier: "small", site: "north" };
  assert.equal(matchesSelector("tier=small,site!=lab", labels), true);
  assert.equal(matchesSelector("tier=small,site!=north", labels), false);
  assert.equal(matchesSelector("tier=large", labels), false);
});

test("an absent label equals the empty value", () => {
  assert.equal(matchesSelector("tier=", {}), true);
  assert.equal(matchesSelector("tier!=small", {}), true);
  assert.equal(matchesSelector("tier=small", {}), false);
});

test("parsing keeps order, keys and signs", () => {
  assert.deepEqual(parseSelector("a.b/c=1,d!=x-y"), [
    { key: "a.b/c", equals: true, value: "1" },
    { key: "d", equals: false, value: "x-y" },
  ]);
});

test("anything else is refused by a stable code", () => {
  for (const text of ["tier", "=x", "a=b,", "a==b", "a=b c", "a>1"]) {
    assert.throws(
      () => parseSelector(text),
      (error) => hasCode(error, "selector.malformed"),
      text,
    );
  }
});
