import { execFile } from "node:child_process";
import { mkdtemp, open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A file system of its own that can be filled up. */
export interface SmallDisk {
  readonly folder: string;
  /** Takes all that is free but this much. */
  fill(freeBytes: number): Promise<void>;
  /** Gives back what `fill` took. */
  empty(): Promise<void>;
}

/** Null where this process may not mount, which a test says when it skips. */
export async function mountSmallDisk(t: Pick<TestContext, "after">, sizeBytes: number): Promise<SmallDisk | null> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-disk-"));
  try {
    await run("mount", ["-t", "tmpfs", "-o", `size=${sizeBytes}`, "espalier-chaos", folder]);
  } catch {
    await rm(folder, { recursive: true });
    return null;
  }
  t.after(async () => {
    await run("umount", ["-l", folder]);
    await rm(folder, { recursive: true });
  });
  const ballast = join(folder, "ballast");
  const empty = () => rm(ballast, { force: true });
  return {
    folder,
    empty,
    async fill(freeBytes) {
      await empty();
      const { bavail, bsize } = await statfs(folder);
      const file = await open(ballast, "w");
      try {
        const piece = Buffer.alloc(64 * 1024);
        for (let left = bavail * bsize - freeBytes; left > 0; left -= piece.length)
          await file.write(piece.subarray(0, Math.min(left, piece.length)));
      } catch (error) {
        // Others write at the same time; full is what it shall be.
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        await file.close();
      }
    },
  };
}
