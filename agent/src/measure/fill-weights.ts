import { randomFillSync } from "node:crypto";
import { open } from "node:fs/promises";
import type { TensorEntry } from "@espalier/shared/contracts/manifest";

const pieceBytes = 1024 * 1024;

/**
 * Writes a kit graph's external data: uint8 tensors (quantized weights and zero points) random, float32 tensors (scales,
 * norms) `floatFill`, integers 0. No two tensors hold the same bytes: ONNX Runtime keeps one packed copy of equal weights, and
 * then a deep graph runs out of the cache and takes the memory of a shallow one.
 */
export async function fillWeights(
  path: string,
  weightsBytes: number,
  tensors: readonly TensorEntry[],
  floatFill: number,
): Promise<void> {
  const random = new Uint8Array(pieceBytes);
  const floats = new Uint8Array(new Float32Array(pieceBytes / 4).fill(floatFill).buffer);
  const file = await open(path, "w");
  try {
    await file.truncate(weightsBytes);
    for (const { dtype, offset, sizeBytes } of tensors) {
      if (dtype !== "uint8" && dtype !== "float32") continue;
      for (let written = 0; written < sizeBytes; written += pieceBytes) {
        const source = dtype === "uint8" ? randomFillSync(random) : floats;
        await file.write(source, 0, Math.min(pieceBytes, sizeBytes - written), offset + written);
      }
    }
  } finally {
    await file.close();
  }
}
