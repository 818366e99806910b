import assert from "node:assert/strict";
import { test } from "node:test";
import { transferMessage } from "./progress.ts";

test("a transfer says bytes, rate and time left, once there is a rate to speak of", () => {
  const mib = 2 ** 20;
  assert.equal(transferMessage(mib, 4 * mib, 100), "1 MiB of 4 MiB");
  assert.equal(transferMessage(mib, 4 * mib, 1_000), "1 MiB of 4 MiB, 1 MiB/s, 3s left");
  assert.equal(transferMessage(100 * mib, 10_000 * mib, 10_000), "100 MiB of 9.7 GiB, 10 MiB/s, 16m 30s left");
});
