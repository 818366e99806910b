import assert from "node:assert/strict";
import { test } from "node:test";
import { readWhatIf } from "./plan.ts";

test("devices to count in are names with counts", () => {
  assert.deepEqual(readWhatIf(""), []);
  assert.deepEqual(readWhatIf("rpi5=20, n100=5"), [
    { reference: "rpi5", count: 20 },
    { reference: "n100", count: 5 },
  ]);
  for (const wrong of ["rpi5", "rpi5=0", "rpi5=-1", "=3", "rpi5=2,,n100=1", "rpi5=x"]) {
    assert.throws(() => readWhatIf(wrong), { code: "what-if.malformed" });
  }
});
