import type { GraphContract } from "@espalier/shared/contracts/manifest";
import type { Span } from "./kv-space.ts";

/** Of float16, the bits. */
export type CacheData = Float32Array | Uint16Array | Int8Array;

/** One cache tensor (a layer's keys or values): its names in the graph and its memory. */
export interface CacheTensor<Data extends CacheData> {
  readonly past: string;
  readonly present: string;
  readonly kvHeads: number;
  readonly headSize: number;
  /** All positions: [positions * kvHeads * headSize]. */
  readonly data: Data;
}

/**
 * The memory of a graph's KV cache, allocated once and shared by sequences. A span of it holds, tensor by tensor,
 * [kvHeads, capacity, headSize].
 */
export class CacheMemory<Data extends CacheData> {
  readonly tensors: readonly CacheTensor<Data>[];

  /** `allocate` gives zeroed memory, one piece for all tensors. */
  constructor(graph: GraphContract, positions: number, allocate: (elements: number) => Data) {
    const widths = graph.layers.map(({ kvHeads, headSize }) => kvHeads * headSize);
    // Written once so that the kernel commits it now: a device that can't hold the whole cache fails before it is active and
    // not in mid-conversation, and the measured peak is the real one.
    const all = allocate(2 * positions * widths.reduce((sum, width) => sum + width, 0)).fill(0);
    let start = 0;
    this.tensors = graph.layers.flatMap(({ kvHeads, headSize }, layer) =>
      ["key", "value"].map((part) => {
        const end = start + positions * kvHeads * headSize;
        const data = all.subarray(start, end) as Data;
        start = end;
        const [past, present] = [`past_key_values.${layer}.${part}`, `present.${layer}.${part}`];
        return { past, present, kvHeads, headSize, data };
      }),
    );
  }

  /**
   * Puts the first `held` positions of `from` where `to` wants them; the spans may overlap. Each head's rows lie together,
   * so that another capacity means other places.
   */
  move(from: Span, to: Span, held: number): void {
    for (const { data, kvHeads, headSize } of this.tensors) {
      const place = (span: Span, head: number): number => (span.start * kvHeads + head * span.capacity) * headSize;
      const moveHead = (head: number): void => {
        const source = place(from, head);
        data.copyWithin(place(to, head), source, source + held * headSize);
      };
      // Heads that go up are moved from the last one down, then those that go down from the first one up: none is
      // overwritten before its turn, since heads of one span keep their order.
      const goesUp = (head: number): boolean => place(to, head) >= place(from, head);
      for (let head = kvHeads - 1; head >= 0; head -= 1) if (goesUp(head)) moveHead(head);
      for (let head = 0; head < kvHeads; head += 1) if (!goesUp(head)) moveHead(head);
    }
  }
}

/** The part of a cache tensor that a span owns. */
export function spanData<Data extends CacheData>(
  { data, kvHeads, headSize }: CacheTensor<Data>,
  { start, capacity }: Span,
): Data {
  return data.subarray(start * kvHeads * headSize, (start + capacity) * kvHeads * headSize) as Data;
}

/** Shape of a span's part of a cache tensor: [1, kvHeads, capacity, headSize]. */
export function spanShape(
  { kvHeads, headSize }: CacheTensor<CacheData>,
  { capacity }: Span,
): [number, number, number, number] {
  return [1, kvHeads, capacity, headSize];
}
