import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { TensorEntry } from "@espalier/shared/contracts/manifest";
import { fillWeights } from "./fill-weights.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-fill-"));
});
after(() => rm(folder, { recursive: true }));

const tensor = (name: string, dtype: TensorEntry["dtype"], offset: number, sizeBytes: number): TensorEntry => ({
  ...{ name, dtype, offset, sizeBytes, file: "weights" },
  shape: [dtype === "uint8" ? sizeBytes : sizeBytes / 4],
});

test("no two weights hold the same bytes, since the runtime would keep them once", async () => {
  const path = join(folder, "weights");
  const tensors = [tensor("a", "uint8", 0, 4096), tensor("b", "uint8", 4096, 4096), tensor("s", "float32", 8192, 64)];
  await fillWeights(path, 8256, tensors, 0.5);
  const bytes = await readFile(path);
  assert.equal(bytes.length, 8256);
  assert.notDeepEqual(bytes.subarray(0, 4096), bytes.subarray(4096, 8192));
  const scales = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 8192, bytes.byteOffset + 8256));
  assert.ok(scales.every((value) => value === 0.5));
});
