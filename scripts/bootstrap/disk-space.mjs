import { statfs } from "node:fs/promises";
import { Problem } from "./problem.mjs";

export const MB = 1_000_000;

/**
 * Asked before a step starts, since a full disk in the middle of npm or pip reads like a broken package.
 * @param {{ folder: string, neededBytes: number, what: string, stat?: typeof statfs }} request
 * @throws {Problem} when the file system of `folder` has less than `neededBytes` free for this user
 */
export async function requireFreeSpace({ folder, neededBytes, what, stat = statfs }) {
  const { bavail, bsize } = await stat(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return;
  throw new Problem(
    `${what} need about ${Math.ceil(neededBytes / MB)} MB of disk, but ${folder} has ${Math.floor(freeBytes / MB)} MB free`,
    "free disk space there, or clone the repository onto a larger disk",
  );
}
