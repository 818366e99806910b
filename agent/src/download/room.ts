import type { Digest } from "@espalier/shared/contracts/digest";

export interface RoomFacts {
  /** What the download and the assembled copy still need. */
  readonly neededBytes: number;
  /** Free on the file system. */
  readonly freeBytes: number;
  /** What the data folder holds. */
  readonly usedBytes: number;
  /** The owner's disk budget; null is no limit. */
  readonly budgetBytes: number | null;
  /** Variants that may go, least needed first. */
  readonly evictable: readonly { readonly artifactDigest: Digest; readonly sizeBytes: number }[];
}

export type Room =
  | { readonly kind: "enough"; readonly evict: readonly Digest[] }
  | { readonly kind: "refused"; readonly reason: string };

/** Whether a download fits, and which held variants have to go for it; none goes that does not have to. Pure. */
export function makeRoom({ neededBytes, freeBytes, usedBytes, budgetBytes, evictable }: RoomFacts): Room {
  const availableBytes = budgetBytes === null ? freeBytes : Math.min(freeBytes, budgetBytes - usedBytes);
  const evict: Digest[] = [];
  let missingBytes = neededBytes - availableBytes;
  for (const { artifactDigest, sizeBytes } of evictable) {
    if (missingBytes <= 0) break;
    evict.push(artifactDigest);
    missingBytes -= sizeBytes;
  }
  if (missingBytes <= 0) return { kind: "enough", evict };
  const budget = budgetBytes === null ? "" : `, disk budget ${budgetBytes} bytes of which ${usedBytes} are used`;
  return { kind: "refused", reason: `download needs ${neededBytes} bytes on disk; ${freeBytes} are free${budget}` };
}
