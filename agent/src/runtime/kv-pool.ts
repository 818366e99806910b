import type { Engine } from "./engine.ts";
import { KvSpace, type Span } from "./kv-space.ts";

/** Positions beyond its tokens that a sequence gets at a time: with all that it may need, others could not start. */
const headroom = 256;

/** Tokens of one request, and the cache of the first `held` of them. */
export interface Sequence {
  /** Of arrival: the lower, the older. */
  readonly order: number;
  /** Prompt and answer so far. */
  readonly tokens: number[];
  /** Positions that it will need at most. */
  readonly mostPositions: number;
  /** Gets all of its room at once, computes every position itself and is never interrupted. */
  readonly steady: boolean;
  held: number;
  /** Leading tokens that an earlier sequence had computed. */
  reused: number;
  /** Null before it has room, and again when an older sequence needed the room. */
  span: Span | null;
}

/** What an ended sequence left: `tokens` and the span with the cache of all of them. */
interface Kept {
  readonly tokens: readonly number[];
  span: Span;
}

/**
 * Shares the cache's positions among sequences. What ended sequences leave is kept while there is room, so that one that
 * begins alike starts behind the common part.
 *
 * INVARIANTS: the oldest sequence gets room, if need be that of the youngest, which computes its cache anew later (only
 * steady ones must end first); a younger one never gets room that an older one waits for. So every sequence of at most
 * `capacity` positions ends.
 */
export class KvPool {
  readonly #engine: Engine;
  readonly #space: KvSpace;
  readonly #active = new Set<Sequence>();
  readonly #waiting = new Set<Sequence>();
  /** The longest unused first. */
  #kept: Kept[] = [];
  #nextOrder = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#space = new KvSpace(engine.capacity);
  }

  enter(request: Pick<Sequence, "tokens" | "mostPositions" | "steady">): Sequence {
    const sequence: Sequence = { ...request, order: this.#nextOrder, held: 0, reused: 0, span: null };
    this.#nextOrder += 1;
    this.#active.add(sequence);
    return sequence;
  }

  /** A span with room for all the sequence's tokens, or null while it must wait. */
  makeRoom(sequence: Sequence): Span | null {
    const { span, tokens, order } = sequence;
    if (span !== null && span.capacity >= tokens.length) return span;
    const mustQueue = [...this.#waiting].some((other) => other.order < order);
    const roomy = mustQueue ? null : span === null ? this.#begin(sequence) : this.#grow(sequence, span);
    if (roomy === null) this.#waiting.add(sequence);
    else this.#waiting.delete(sequence);
    return roomy;
  }

  /** Ends a sequence; `keep` what it computed for others that begin alike. */
  leave(sequence: Sequence, keep: boolean): void {
    const { span, tokens, held } = sequence;
    this.#active.delete(sequence);
    this.#waiting.delete(sequence);
    if (span === null) return;
    if (keep && held > 0) this.#kept.push({ tokens: tokens.slice(0, held), span });
    else this.#free(span);
  }

  #begin(sequence: Sequence): Span | null {
    const wanted = wantedPositions(sequence);
    const alike = sequence.steady ? null : this.#mostAlike(sequence.tokens);
    if (alike === null) {
      sequence.span = this.#take(wanted, sequence);
      return sequence.span;
    }
    const { kept, common } = alike;
    sequence.reused = common;
    sequence.held = common;
    // Another conversation with the same beginning leaves the kept one as it is, where there is room for both.
    const copy = 2 * common < kept.tokens.length ? this.#space.allocate(wanted) : null;
    if (copy !== null) {
      this.#engine.move(kept.span, copy, common);
      sequence.span = copy;
      return copy;
    }
    this.#kept = this.#kept.filter((other) => other !== kept);
    sequence.span = kept.span;
    return kept.span.capacity >= sequence.tokens.length ? kept.span : this.#grow(sequence, kept.span);
  }

  /** The kept cache with the longest common beginning. The last token is always computed: its logits are wanted. */
  #mostAlike(tokens: readonly number[]): { kept: Kept; common: number } | null {
    let best: { kept: Kept; common: number } | null = null;
    for (const kept of this.#kept) {
      const common = commonLength(kept.tokens, tokens, tokens.length - 1);
      if (common > (best?.common ?? 0)) best = { kept, common };
    }
    return best;
  }

  #grow(sequence: Sequence, span: Span): Span | null {
    const capacity = wantedPositions(sequence);
    const more = capacity - span.capacity;
    if (!this.#freeUp(more, sequence)) return null;
    if (this.#space.gapBehind(span) < more) this.#gather(span);
    const place = sequence.span ?? span;
    const extended = this.#space.extend(place, capacity);
    this.#engine.move(place, extended, sequence.held);
    this.#engine.forget(place);
    sequence.span = extended;
    return extended;
  }

  #take(positions: number, sequence: Sequence): Span | null {
    const fitting = this.#space.allocate(positions);
    if (fitting !== null || !this.#freeUp(positions, sequence)) return fitting;
    const freed = this.#space.allocate(positions);
    if (freed !== null) return freed;
    this.#gather(null);
    return this.#space.allocate(positions);
  }

  /** Gives up kept caches, then those of younger sequences, until this many positions are free; none if that won't do. */
  #freeUp(positions: number, { order }: Sequence): boolean {
    const younger = [...this.#active]
      .filter((other) => other.order > order && !other.steady && other.span !== null)
      .sort((a, b) => b.order - a.order);
    const victims = [...this.#kept, ...younger];
    const obtainable = victims.reduce((sum, { span }) => sum + (span?.capacity ?? 0), this.#space.freePositions);
    if (obtainable < positions) return false;
    for (const victim of victims) {
      if (this.#space.freePositions >= positions) break;
      if (victim.span !== null) this.#free(victim.span);
      if ("held" in victim) {
        victim.span = null;
        victim.held = 0;
      } else this.#kept = this.#kept.filter((other) => other !== victim);
    }
    return true;
  }

  /** Brings the free positions together behind `span` (null: behind all). */
  #gather(span: Span | null): void {
    for (const { from, to } of this.#space.gather(span)) {
      const owner = [...this.#active, ...this.#kept].find((other) => other.span === from);
      if (owner === undefined) throw new Error("a span of the KV cache has no owner");
      this.#engine.move(from, to, "held" in owner ? owner.held : owner.tokens.length);
      this.#engine.forget(from);
      owner.span = to;
    }
  }

  #free(span: Span): void {
    this.#space.free(span);
    this.#engine.forget(span);
  }
}

function wantedPositions({ steady, mostPositions, tokens }: Sequence): number {
  return steady ? mostPositions : Math.min(mostPositions, tokens.length + headroom);
}

function commonLength(a: readonly number[], b: readonly number[], most: number): number {
  let length = 0;
  while (length < most && length < a.length && a[length] === b[length]) length += 1;
  return length;
}
