/** A stretch of the KV cache that one sequence owns: positions [start, start + capacity). Compared by identity. */
export interface Span {
  readonly start: number;
  readonly capacity: number;
}

/** A span's contents are to be moved to another place; moves of one list must be made in its order. */
export interface Move {
  readonly from: Span;
  readonly to: Span;
}

/**
 * Divides a number of positions into spans. It does no more than arithmetic: whoever owns the memory moves what lies there.
 *
 * INVARIANT: spans are disjoint, inside the space, and sorted by start.
 */
export class KvSpace {
  readonly #positions: number;
  #spans: Span[] = [];

  constructor(positions: number) {
    this.#positions = positions;
  }

  get freePositions(): number {
    return this.#spans.reduce((free, { capacity }) => free - capacity, this.#positions);
  }

  /** The first gap that is large enough, or null. */
  allocate(capacity: number): Span | null {
    let start = 0;
    for (let index = 0; index <= this.#spans.length; index += 1) {
      const next = this.#spans[index];
      if ((next?.start ?? this.#positions) - start >= capacity) {
        const span = { start, capacity };
        this.#spans.splice(index, 0, span);
        return span;
      }
      if (next !== undefined) start = next.start + next.capacity;
    }
    return null;
  }

  free(span: Span): void {
    this.#spans = this.#spans.filter((other) => other !== span);
  }

  /** Free positions directly behind a span. */
  gapBehind(span: Span): number {
    const next = this.#spans[this.#spans.indexOf(span) + 1];
    return (next?.start ?? this.#positions) - span.start - span.capacity;
  }

  /** The same span with more capacity. The gap behind it must be large enough. */
  extend(span: Span, capacity: number): Span {
    const extended = { start: span.start, capacity };
    this.#spans[this.#spans.indexOf(span)] = extended;
    return extended;
  }

  /**
   * Brings all free positions together: behind `span`, or behind all spans. Spans up to it go to the front, the others to
   * the end. In the order of the result no move overwrites what is still to be moved.
   */
  gather(span: Span | null): Move[] {
    const split = span === null ? this.#spans.length : this.#spans.indexOf(span) + 1;
    const placed = [...this.#spans];
    const moves: Move[] = [];
    const place = (index: number, start: number): void => {
      const from = this.#spans[index];
      if (from === undefined || from.start === start) return;
      const to = { start, capacity: from.capacity };
      placed[index] = to;
      moves.push({ from, to });
    };
    let front = 0;
    for (const [index, { capacity }] of this.#spans.slice(0, split).entries()) {
      place(index, front);
      front += capacity;
    }
    let end = this.#positions;
    for (let index = this.#spans.length - 1; index >= split; index -= 1) {
      end -= this.#spans[index]?.capacity ?? 0;
      place(index, end);
    }
    this.#spans = placed;
    return moves;
  }
}
