import type { Digest } from "@espalier/shared/contracts/digest";
import type { VariantShape } from "@espalier/shared/contracts/shape";
import type { ProcessMemory } from "../measure/process-memory.ts";

/** Bytes that a variant can't do without: its weights and the whole float32 KV cache. */
export function leastVariantBytes(shape: VariantShape, contextTokens: number): number {
  const capacity = Math.min(contextTokens, shape.contextLength);
  const cache = shape.layers.reduce((sum, { kvHeads }) => sum + 2 * 4 * kvHeads * shape.headSize * capacity, 0);
  return shape.weightBytes + cache;
}

export interface MemoryWindow {
  /** What the process would hold at most with this variant alone: the peak less what other variants grew it by. */
  peakAloneBytes(): number;
  /** The variant is closed: its growth no longer counts for windows that begin later. */
  end(): void;
}

/** Attributes the growth of resident memory to variants, so that one measured beside another is charged for itself only. */
export interface VariantMemory {
  /** Resident memory before any model was loaded: asked first, or measured before the first load. */
  baseBytes(): number;
  /** Call just before loading a variant. */
  open(artifactDigest: Digest): MemoryWindow;
}

export function createVariantMemory(memory: ProcessMemory, collectGarbage: () => void): VariantMemory {
  const growth = new Map<symbol, number>();
  let baseBytes: number | null = null;
  const loaded = (): number => [...growth.values()].reduce((sum, bytes) => sum + bytes, 0);
  // Buffers of a download that just ended are not the model's.
  const settled = (): number => {
    collectGarbage();
    return memory.residentBytes();
  };
  return {
    baseBytes() {
      baseBytes ??= settled();
      return baseBytes;
    },
    open(artifactDigest) {
      const key = Symbol(artifactDigest);
      const before = settled();
      baseBytes ??= before;
      const others = loaded();
      memory.openWindow();
      return {
        peakAloneBytes() {
          const peak = memory.windowPeakBytes();
          growth.set(key, Math.max(0, peak - before));
          return Math.max(baseBytes ?? 0, peak - others);
        },
        end: () => void growth.delete(key),
      };
    },
  };
}
