import { EspalierError } from "@espalier/shared/errors";
import type { Grammar, Part } from "./grammar.ts";

/** What is to come of one alternative, and after it. Interned: equal ones are one object. */
interface Frame {
  readonly id: number;
  readonly part: Part;
  readonly index: number;
  readonly after: Frame | null;
}

/** All that a text so far may go on with. Interned as well, so that what was found out about it is found once. */
export interface State {
  readonly frames: readonly Frame[];
  /** The text may end here. */
  readonly accepts: boolean;
  /** By byte, as far as it was asked: null is no way on. */
  readonly next: (State | null | undefined)[];
  /** Bits of the tokens that may follow, once somebody asked for them. */
  mask: Uint32Array | null;
}

/** What is kept at a time; older things are found out anew. A mask has a bit for each token of the vocabulary. */
const mostStates = 4_000;
const mostFrames = 40_000;
const mostMasks = 250;
/** Places followed for one mask: about a second. A grammar that allows the same in very many ways takes more. */
const mostWork = 500_000;
/** Looking at a frame is so much less than following a place. */
const lookShare = 1 / 64;

/**
 * A grammar as an automaton on bytes whose states are made when they are reached: the sets of stacks of a pushdown
 * automaton. Every loop of the grammar gives its states back, so a string takes a handful of them, however long it is.
 */
export class Automaton {
  readonly #grammar: Grammar;
  readonly #partIds = new Map<Part, number>();
  readonly #frames = new Map<string, Frame>();
  readonly #states = new Map<string, State>();
  #nextFrameId = 0;
  #masks = 0;
  #work = 0;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
  }

  start(): State {
    return this.#stateOf([{ part: [{ rule: this.#grammar.root }], index: 0, after: null }]);
  }

  /** The state behind a byte; null when the grammar doesn't allow it. */
  step(state: State, byte: number): State | null {
    const known = state.next[byte];
    if (known !== undefined) return known;
    this.#work += state.frames.length * lookShare;
    const moved = state.frames.filter(({ part, index }) => allows(part, index, byte));
    const next =
      moved.length === 0
        ? null
        : this.#stateOf(moved.map(({ part, index, after }) => ({ part, index: index + 1, after })));
    state.next[byte] = next;
    return next;
  }

  /** The state's mask, found out by `find` where nobody asked before. */
  mask(state: State, find: () => Uint32Array): Uint32Array {
    this.#work = 0;
    if (state.mask !== null) return state.mask;
    this.#prune();
    this.#masks += 1;
    state.mask = find();
    return state.mask;
  }

  /** Forgets what was found out, when that is much. States in use stay valid, but what they led to is forgotten. */
  #prune(): void {
    if (this.#states.size <= mostStates && this.#frames.size <= mostFrames && this.#masks < mostMasks) return;
    for (const state of this.#states.values()) {
      state.next.length = 0;
      state.mask = null;
    }
    this.#states.clear();
    this.#frames.clear();
    this.#masks = 0;
  }

  /** Follows rules until each place is before a byte, or at the end. */
  #stateOf(places: readonly Omit<Frame, "id">[]): State {
    const frames = new Map<number, Frame>();
    const seen = new Set<string>();
    const open = [...places];
    let accepts = false;
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      this.#work += 1;
      if (this.#work > mostWork)
        throw new EspalierError("grammar.ambiguous", "response_format: the schema allows the same in too many ways");
      const { part, index, after } = place;
      const element = part[index];
      if (element === undefined) {
        if (after === null) accepts = true;
        else open.push(after);
      } else if ("bytes" in element) {
        const frame = this.#frame(part, index, after);
        frames.set(frame.id, frame);
      } else {
        // The last thing of an alternative needs no way back: a loop doesn't pile up.
        const rest = index + 1 === part.length ? after : this.#frame(part, index + 1, after);
        const key = `${element.rule} ${rest?.id ?? -1}`;
        if (seen.has(key)) continue;
        seen.add(key);
        for (const alternative of this.#grammar.rules[element.rule] ?? [])
          open.push({ part: alternative, index: 0, after: rest });
      }
    }
    const sorted = [...frames.values()].sort((a, b) => a.id - b.id);
    const key = `${accepts ? "+" : ""}${sorted.map(({ id }) => id).join(" ")}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const state: State = { frames: sorted, accepts, next: [], mask: null };
    this.#states.set(key, state);
    return state;
  }

  #frame(part: Part, index: number, after: Frame | null): Frame {
    let partId = this.#partIds.get(part);
    if (partId === undefined) {
      partId = this.#partIds.size;
      this.#partIds.set(part, partId);
    }
    const key = `${partId} ${index} ${after?.id ?? -1}`;
    const known = this.#frames.get(key);
    if (known !== undefined) return known;
    const frame = { id: this.#nextFrameId, part, index, after };
    this.#nextFrameId += 1;
    this.#frames.set(key, frame);
    return frame;
  }
}

function allows(part: Part, index: number, byte: number): boolean {
  const element = part[index];
  if (element === undefined || !("bytes" in element)) return false;
  const { bytes } = element;
  for (let i = 0; i < bytes.length; i += 2) if (byte >= (bytes[i] ?? 256) && byte <= (bytes[i + 1] ?? -1)) return true;
  return false;
}
