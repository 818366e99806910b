import assert from "node:assert/strict";
import { test } from "node:test";
import { MB, requireFreeSpace } from "./disk-space.mjs";

const disk = (freeBytes) => async () => ({ bavail: freeBytes / 4096, bsize: 4096 });

test("too little disk is told before work begins, with both figures and the folder", async () => {
  await assert.rejects(
    requireFreeSpace({
      folder: "/checkout/.espalier",
      neededBytes: 4000 * MB,
      what: "the Python packages",
      stat: disk(1_228_800),
    }),
    /the Python packages need about 4000 MB of disk, but \/checkout\/\.espalier has 1 MB free\n {2}fix: free disk space/,
  );
});

test("enough disk passes", async () => {
  await requireFreeSpace({ folder: "/checkout", neededBytes: MB, what: "it", stat: disk(100 * 4096 * 4096) });
});
