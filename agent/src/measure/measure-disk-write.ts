import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { Sample } from "@espalier/shared/contracts/profile";
import { summarize } from "./sample.ts";

const fileBytes = 64 * 1024 * 1024;
const pieceBytes = 4 * 1024 * 1024;
const repetitions = 3;

/** Bytes per second written to a new file of 64 MiB in `folder`, fsync included. */
export async function measureDiskWrite(folder: string, signal: AbortSignal): Promise<Sample> {
  const path = join(folder, "disk-write");
  const piece = Buffer.alloc(pieceBytes, 0x5a);
  const rates: number[] = [];
  try {
    for (let repetition = 0; repetition < repetitions; repetition++) {
      await rm(path, { force: true });
      const startMs = performance.now();
      const file = await open(path, "wx");
      try {
        for (let written = 0; written < fileBytes; written += pieceBytes) {
          signal.throwIfAborted();
          await file.writeFile(piece);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      rates.push((fileBytes / (performance.now() - startMs)) * 1000);
    }
    return summarize(rates);
  } finally {
    await rm(path, { force: true });
  }
}
