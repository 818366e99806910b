import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * INVARIANT: under its final name a file is either absent or whole. Everything is made beside it under a
 * partial name, on the same file system, and renamed last; what a crash leaves carries the partial name.
 */
export function partialName(path) {
  return `${path}.partial-${process.pid}`;
}

/**
 * Lets `make` produce a file or folder under a partial name, then gives it its final name.
 * @template T
 * @param {string} path final name; replaced if it exists and is a file
 * @param {(partial: string) => Promise<T>} make
 * @returns {Promise<T>} what `make` returned
 */
export async function placeWhole(path, make) {
  const partial = partialName(path);
  await mkdir(dirname(path), { recursive: true });
  await rm(partial, { recursive: true, force: true });
  try {
    const made = await make(partial);
    await rename(partial, path);
    return made;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** @param {string} path @param {string} text */
export async function writeWhole(path, text) {
  await placeWhole(path, async (partial) => {
    const file = await open(partial, "w");
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  });
}
