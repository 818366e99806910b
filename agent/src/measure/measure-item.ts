import { join } from "node:path";
import { Digest } from "@espalier/shared/contracts/digest";
import type { Measurements } from "@espalier/shared/contracts/profile";
import { EspalierError } from "@espalier/shared/errors";
import { bandwidthBufferBytes, lastLevelCacheBytes } from "./cache-size.ts";
import type { MeasureCommandsDeps } from "./measure-commands.ts";
import { measureDiskWrite } from "./measure-disk-write.ts";
import { measureDownload } from "./measure-download.ts";
import { type KitDeps, measureKit } from "./measure-kit.ts";
import { measureMemoryBandwidth } from "./measure-memory-bandwidth.ts";
import { type MeasureVariantDeps, measureVariant } from "./measure-variant.ts";

export interface MeasureItemDeps extends MeasureVariantDeps {
  readonly kit: Omit<KitDeps, "folder" | "sustainedSeconds" | "sys">;
  /** For files that are removed again. */
  readonly scratch: string;
}

/** Maps each item of a command to its measurement. */
export function createMeasureItem(deps: MeasureItemDeps): MeasureCommandsDeps["measure"] {
  const { kit, scratch, sys } = deps;
  return async (item, onProgress, signal): Promise<Partial<Measurements>> => {
    switch (item.kind) {
      case "memoryBandwidth": {
        const cacheBytes = await lastLevelCacheBytes(sys);
        const bufferBytes = bandwidthBufferBytes(cacheBytes, kit.memoryBudgetBytes);
        return {
          memoryBandwidthBytesPerSecond: await measureMemoryBandwidth({ threads: kit.threads, bufferBytes }, signal),
        };
      }
      case "diskWrite":
        return { diskWriteBytesPerSecond: await measureDiskWrite(scratch, signal) };
      case "download": {
        const digests = (item.download?.digests ?? []).map((digest) => Digest.parse(digest));
        return digests.length === 0
          ? {}
          : { downloadBytesPerSecond: await measureDownload(kit.bucket, digests, signal) };
      }
      case "kit": {
        const kitDigest = Digest.parse(item.kit?.kitDigest);
        const folder = join(scratch, "kit");
        const sustainedSeconds = item.kit?.sustainedSeconds ?? 0;
        return { kit: await measureKit({ ...kit, folder, sustainedSeconds, sys }, kitDigest, onProgress, signal) };
      }
      case "variant": {
        const { promptTokens = 0, outputTokens = 0, artifactDigest } = item.variant ?? {};
        const task = { artifactDigest: Digest.parse(artifactDigest), promptTokens, outputTokens };
        return { variants: [await measureVariant(deps, task, signal)] };
      }
    }
    throw new EspalierError("measure.unknown-item", "The command asks for a measurement this agent doesn't know.");
  };
}
