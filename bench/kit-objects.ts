import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import { Kit } from "@espalier/shared/contracts/kit";

/** A kit in a folder, as a broker holds it. */
export interface KitObjects {
  kitDigest: Digest;
  kit: Kit;
  /** The kit's own JSON and all chunks of its files. */
  objects: ReadonlyMap<Digest, Uint8Array>;
}

export async function readKitObjects(folder: string): Promise<KitObjects> {
  const text = await readFile(join(folder, "kit.json"));
  const kit = Kit.parse(JSON.parse(text.toString()));
  const kitDigest = digestOfBytes(text);
  const objects = new Map<Digest, Uint8Array>([[kitDigest, text]]);
  for (const { path, chunks } of kit.files) {
    const bytes = await readFile(join(folder, path));
    let offset = 0;
    for (const { digest, sizeBytes } of chunks) {
      objects.set(digest, bytes.subarray(offset, offset + sizeBytes));
      offset += sizeBytes;
    }
  }
  return { kitDigest, kit, objects };
}
