import { EspalierError } from "@espalier/shared/errors";
import { Automaton, type State } from "./automaton.ts";
import type { Grammar } from "./grammar.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** What an answer must be: the grammar, and the tokens that it is written in. */
export interface GuideRequest {
  readonly grammar: Grammar;
  readonly vocabulary: Vocabulary;
}

/** Automata kept for requests that ask for the same again. */
const mostAutomata = 4;

/** Guides for the answers of one model. */
export class TokenGuides {
  readonly #automata = new Map<string, Automaton>();
  #tokens: SortedTokens | null = null;

  /** A guide at the beginning of an answer. `stopTokenIds` are allowed where the answer may end. */
  begin({ grammar, vocabulary }: GuideRequest, stopTokenIds: readonly number[]): TokenGuide {
    this.#tokens ??= new SortedTokens(vocabulary, stopTokenIds);
    const key = JSON.stringify(grammar);
    const automaton = this.#automata.get(key) ?? new Automaton(grammar);
    this.#automata.delete(key);
    this.#automata.set(key, automaton);
    const [oldest] = this.#automata.keys();
    if (this.#automata.size > mostAutomata && oldest !== undefined) this.#automata.delete(oldest);
    return new TokenGuide(automaton, this.#tokens);
  }
}

/** Says which tokens an answer may go on with. */
export class TokenGuide {
  readonly #automaton: Automaton;
  readonly #tokens: SortedTokens;
  #state: State;

  constructor(automaton: Automaton, tokens: SortedTokens) {
    this.#automaton = automaton;
    this.#tokens = tokens;
    this.#state = automaton.start();
  }

  /** Sets the logits [vocabulary] of all other tokens to minus infinity. Throws when there is no token to go on with. */
  mask(logits: Float32Array): void {
    const allowed = this.#automaton.mask(this.#state, () => this.#tokens.allowed(this.#automaton, this.#state));
    let any = 0;
    for (let id = 0; id < logits.length; id += 1) {
      const isAllowed = ((allowed[id >>> 5] ?? 0) >>> (id & 31)) & 1;
      any |= isAllowed;
      if (isAllowed === 0) logits[id] = Number.NEGATIVE_INFINITY;
    }
    if (any === 0)
      throw new EspalierError("grammar.unspeakable", "the model has no token that response_format allows here");
  }

  /** The answer has this allowed token now. */
  accept(tokenId: number): void {
    this.#state = this.#tokens.follow(this.#automaton, this.#state, tokenId) ?? this.#state;
  }
}

/** A vocabulary in the order of its bytes, in which tokens that begin alike are walked once. */
class SortedTokens {
  readonly #vocabulary: Vocabulary;
  readonly #stopTokenIds: readonly number[];
  readonly #ids: Int32Array;
  /** [tokens]: leading bytes that a token in this order has in common with the one before it. */
  readonly #common: Int32Array;
  readonly #longest: number;

  constructor(vocabulary: Vocabulary, stopTokenIds: readonly number[]) {
    this.#vocabulary = vocabulary;
    this.#stopTokenIds = stopTokenIds;
    const { bytes, offsets } = vocabulary;
    const isText = (id: number): boolean => offsets[id] !== offsets[id + 1] && !stopTokenIds.includes(id);
    this.#ids = Int32Array.from([...offsets.keys()].slice(0, -1)).filter(isText);
    const common = (a: number, b: number): number => {
      const [startA = 0, startB = 0] = [offsets[a], offsets[b]];
      const most = Math.min((offsets[a + 1] ?? 0) - startA, (offsets[b + 1] ?? 0) - startB);
      let length = 0;
      while (length < most && bytes[startA + length] === bytes[startB + length]) length += 1;
      return length;
    };
    // A token's first byte beyond what it has in common with another one; none comes before all bytes.
    const byteAt = (id: number, at: number): number => {
      const place = (offsets[id] ?? 0) + at;
      return place < (offsets[id + 1] ?? 0) ? (bytes[place] ?? 0) : -1;
    };
    this.#ids.sort((a, b) => {
      const at = common(a, b);
      return byteAt(a, at) - byteAt(b, at);
    });
    this.#common = this.#ids.map((id, at) => (at === 0 ? 0 : common(this.#ids[at - 1] ?? 0, id)));
    this.#longest = this.#ids.reduce((most, id) => Math.max(most, (offsets[id + 1] ?? 0) - (offsets[id] ?? 0)), 0);
  }

  /** Bits of the tokens that may follow. */
  allowed(automaton: Automaton, state: State): Uint32Array {
    const { bytes, offsets } = this.#vocabulary;
    const mask = new Uint32Array(Math.ceil(offsets.length / 32));
    const allow = (id: number): void => {
      mask[id >>> 5] = (mask[id >>> 5] ?? 0) | (1 << (id & 31));
    };
    if (state.accepts) for (const id of this.#stopTokenIds) allow(id);
    const path: State[] = new Array(this.#longest + 1);
    path[0] = state;
    // Leading bytes of the last walked token that lead somewhere.
    let alive = 0;
    for (let at = 0; at < this.#ids.length; at += 1) {
      const id = this.#ids[at] ?? 0;
      const start = offsets[id] ?? 0;
      const length = (offsets[id + 1] ?? 0) - start;
      let depth = this.#common[at] ?? 0;
      if (depth > alive) continue;
      for (; depth < length; depth += 1) {
        const before = path[depth];
        const next = before === undefined ? null : automaton.step(before, bytes[start + depth] ?? 0);
        if (next === null) break;
        path[depth + 1] = next;
      }
      alive = depth;
      if (depth === length) allow(id);
    }
    return mask;
  }

  /** The state behind a token; null when it isn't allowed. */
  follow(automaton: Automaton, state: State, tokenId: number): State | null {
    let at: State | null = state;
    for (const byte of this.#bytes(tokenId)) at = at === null ? null : automaton.step(at, byte);
    return at;
  }

  #bytes(id: number): Uint8Array {
    const { bytes, offsets } = this.#vocabulary;
    return bytes.subarray(offsets[id], offsets[id + 1]);
  }
}
