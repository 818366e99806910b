import assert from "node:assert/strict";
import { test } from "node:test";
import { atLeast, parseVersion } from "./versions.mjs";

test("a version is found in what programs print", () => {
  assert.deepEqual(parseVersion("nats-server: v2.15.1"), [2, 15, 1]);
  assert.deepEqual(parseVersion("prometheus, version 3.5.3+ds1 (branch: debian/sid)"), [3, 5, 3]);
  assert.equal(parseVersion("no such thing"), undefined);
});

test("versions compare by number, not by letter", () => {
  assert.equal(atLeast([2, 9, 10], [2, 12]), false);
  assert.equal(atLeast([2, 12], [2, 12, 0]), true);
  assert.equal(atLeast([3, 0], [2, 50]), true);
});
