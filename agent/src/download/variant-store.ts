import { readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "@espalier/shared/contracts/digest";
import { artifactFiles, Manifest } from "@espalier/shared/contracts/manifest";
import { hex } from "@espalier/shared/nats-names";
import { syncFolder, temporarySuffix } from "../store/write-durably.ts";

/**
 * Assembled variants. INVARIANT: a folder under its final name is complete, verified and durable; building and removing
 * happen under a temporary name.
 */
export interface VariantStore {
  folder(artifactDigest: Digest): string;
  /** Where `artifactDigest` is assembled before it is renamed to its folder. */
  temporaryFolder(artifactDigest: Digest): string;
  has(artifactDigest: Digest): boolean;
  /** Undefined for a variant that is not held. */
  manifest(artifactDigest: Digest): Manifest | undefined;
  held(): readonly Digest[];
  /** Makes an assembled temporary folder the variant. */
  adopt(artifactDigest: Digest, manifest: Manifest): Promise<void>;
  remove(artifactDigest: Digest): Promise<void>;
}

/** Reads what is held. A folder without a readable manifest is removed: its chunks are fetched again. */
export async function openVariantStore(root: string): Promise<VariantStore> {
  const folder = (digest: Digest): string => join(root, hex(digest));
  const temporaryFolder = (digest: Digest): string => `${folder(digest)}${temporarySuffix}`;
  const manifests = new Map<Digest, Manifest>();
  for (const name of await readdir(root)) {
    if (name.endsWith(temporarySuffix)) continue;
    const manifest = await readHeld(join(root, name));
    if (manifest === undefined) await rm(join(root, name), { recursive: true, force: true });
    else manifests.set(`sha256:${name}`, manifest);
  }
  return {
    folder,
    temporaryFolder,
    has: (digest) => manifests.has(digest),
    manifest: (digest) => manifests.get(digest),
    held: () => [...manifests.keys()],
    async adopt(digest, manifest) {
      await rename(temporaryFolder(digest), folder(digest));
      await syncFolder(root);
      manifests.set(digest, manifest);
    },
    async remove(digest) {
      manifests.delete(digest);
      const doomed = `${folder(digest)}.removed${temporarySuffix}`;
      await rm(doomed, { recursive: true, force: true });
      await rename(folder(digest), doomed).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      await rm(doomed, { recursive: true, force: true });
    },
  };
}

async function readHeld(folder: string): Promise<Manifest | undefined> {
  try {
    return Manifest.parse(JSON.parse(await readFile(join(folder, artifactFiles.manifest), "utf8")));
  } catch {
    return undefined;
  }
}
