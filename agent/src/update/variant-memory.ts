import type { VariantShape } from "@espalier/shared/contracts/shape";
import type { ProcessMemory } from "../measure/process-memory.ts";

/** Bytes that a variant can't do without: its weights and the whole float32 KV cache. */
export function leastVariantBytes(shape: VariantShape, contextTokens: number): number {
  const capacity = Math.min(contextTokens, shape.contextLength);
  const cache = shape.layers.reduce((sum, { kvHeads }) => sum + 2 * 4 * kvHeads * shape.headSize * capacity, 0);
  return shape.weightBytes + cache;
}

export interface MemoryWindow {
  /**
   * Peak resident memory as if the variant were the only one ever loaded: what the process held before its first
   * variant, and the growth by this one. For the first variant this is the process's own peak.
   */
  peakAloneBytes(): number;
}

/** Attributes the growth of resident memory to variants, so that one measured beside another is charged for itself only. */
export interface VariantMemory {
  /** Resident memory before any model was loaded: when asked first. */
  baseBytes(): number;
  residentBytes(): number;
  /** Call just before loading a variant. */
  open(): Promise<MemoryWindow>;
}

export function createVariantMemory(memory: ProcessMemory, collectGarbage: () => Promise<void>): VariantMemory {
  let baseBytes: number | null = null;
  let beforeFirst: number | null = null;
  return {
    residentBytes: () => memory.residentBytes(),
    baseBytes() {
      baseBytes ??= memory.residentBytes();
      return baseBytes;
    },
    async open() {
      // Buffers of a download that just ended are not the model's.
      await collectGarbage();
      const before = memory.residentBytes();
      beforeFirst ??= before;
      const floor = beforeFirst;
      memory.openWindow();
      return { peakAloneBytes: () => floor + Math.max(0, memory.windowPeakBytes() - before) };
    },
  };
}
