import { createWriteStream } from "node:fs";
import { access } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { requireDigest, sha256Of } from "./digest.mjs";
import { placeWhole } from "./place-whole.mjs";
import { Problem } from "./problem.mjs";

const CONNECT_TIMEOUT_MS = 15_000;
const WHOLE_TIMEOUT_MS = 600_000;

/**
 * Fetches a file whose digest is known. A file already there with that digest is kept.
 * @param {{ url: string, sha256: string, to: string }} wanted
 * @throws {Problem} no connection, an HTTP error, a torn transfer, another digest; nothing is left under `to` then
 */
export async function download({ url, sha256, to }) {
  if (await hasDigest(to, sha256)) return;
  await placeWhole(to, async (partial) => {
    try {
      await transfer(url, partial);
    } catch (error) {
      if (error instanceof Problem) throw error;
      const cause = error.cause?.code ?? error.cause?.message ?? error.message;
      throw new Problem(
        `${url} could not be downloaded: ${cause}`,
        "check the network connection, then run the command again",
        { cause: error },
      );
    }
    await requireDigest({ path: partial, name: basename(to), expected: sha256 });
  });
}

async function transfer(url, to) {
  // Two clocks: an unreachable host must not hold up the fallbacks, a slow line may take its time.
  const connecting = new AbortController();
  const giveUp = setTimeout(() => connecting.abort(new Error("no answer in 15 s")), CONNECT_TIMEOUT_MS);
  const signal = AbortSignal.any([connecting.signal, AbortSignal.timeout(WHOLE_TIMEOUT_MS)]);
  const response = await fetch(url, { redirect: "follow", signal }).finally(() => clearTimeout(giveUp));
  if (!response.ok || response.body === null) {
    throw new Problem(
      `${url} answered HTTP ${response.status}`,
      "run the command again later; if it repeats, the file has moved",
    );
  }
  await pipeline(Readable.fromWeb(response.body), createWriteStream(to));
}

async function hasDigest(path, sha256) {
  try {
    await access(path);
  } catch {
    return false;
  }
  return (await sha256Of(path)) === sha256;
}
