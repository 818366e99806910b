import assert from "node:assert/strict";
import { test } from "node:test";
import { readLabelChanges } from "./labels.ts";
import { parseSince } from "./since.ts";

test("labels are set by key=value and removed by key-", () => {
  assert.deepEqual(readLabelChanges(["site=hall", "tier-", "empty="]), {
    set: { site: "hall", empty: "" },
    remove: ["tier"],
  });
  for (const wrong of ["tier", "=x", "-"]) assert.throws(() => readLabelChanges([wrong]), /expected key=value or key-/);
});

test("a time is a span before now or a point", () => {
  assert.equal(parseSince("90s", 100_000), 10_000);
  assert.equal(parseSince("2h", 7_200_000), 0);
  assert.equal(parseSince("1970-01-01T00:00:01Z"), 1_000);
  assert.throws(() => parseSince("yesterday"), /2h/);
});
