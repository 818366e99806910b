import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import type { ChunkStore } from "./chunk-store.ts";
import type { VariantStore } from "./variant-store.ts";

interface Place {
  readonly path: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Every chunk the device holds, loose or inside an assembled variant: variants that share a tensor group share it. */
export interface HeldChunks {
  has(digest: Digest, sizeBytes: number): Promise<boolean>;
  /** Verified bytes; null when the copy is gone or damaged, which is then no longer counted as held. */
  read(digest: Digest, sizeBytes: number): Promise<Uint8Array | null>;
}

export function findHeldChunks(chunks: ChunkStore, variants: VariantStore, damaged: Set<string>): HeldChunks {
  const places = new Map<Digest, Place>();
  for (const artifactDigest of variants.held())
    for (const file of variants.manifest(artifactDigest)?.files ?? []) {
      let offset = 0;
      for (const { digest, sizeBytes } of file.chunks) {
        const path = join(variants.folder(artifactDigest), file.path);
        if (!damaged.has(`${path}:${offset}`)) places.set(digest, { path, offset, sizeBytes });
        offset += sizeBytes;
      }
    }
  return {
    async has(digest, sizeBytes) {
      return places.has(digest) || chunks.has(digest, sizeBytes);
    },
    async read(digest, sizeBytes) {
      if (await chunks.has(digest, sizeBytes)) {
        const bytes = await chunks.read(digest);
        if (digestOfBytes(bytes) === digest) return bytes;
        await chunks.remove(digest);
      }
      const place = places.get(digest);
      if (place === undefined) return null;
      const bytes = await readRange(place);
      if (bytes !== null && digestOfBytes(bytes) === digest) return bytes;
      damaged.add(`${place.path}:${place.offset}`);
      places.delete(digest);
      return null;
    },
  };
}

async function readRange({ path, offset, sizeBytes }: Place): Promise<Uint8Array | null> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return null;
  try {
    const bytes = new Uint8Array(sizeBytes);
    const { bytesRead } = await file.read(bytes, 0, sizeBytes, offset);
    return bytesRead === sizeBytes ? bytes : null;
  } finally {
    await file.close();
  }
}
