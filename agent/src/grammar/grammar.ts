/** One thing of an alternative: a byte within one of the ranges [low, high, low, high, ...], or what another rule says. */
export type Element = { readonly bytes: readonly number[] } | { readonly rule: number };

/** Things one after another. */
export type Part = readonly Element[];

/** A context-free grammar over bytes: each rule is any of its alternatives. Plain data, for sending to a thread. */
export interface Grammar {
  readonly rules: readonly (readonly Part[])[];
  readonly root: number;
}

/** Elements in all: what a thread can hold many of. */
const mostElements = 50_000;

/** Thrown when a grammar would take more memory than a request may. */
export class GrammarTooLarge extends Error {
  override readonly name = "GrammarTooLarge";
}

/** Puts a grammar together. No part that repeats may be empty, and no rule may begin with itself but as its whole. */
export class GrammarBuilder {
  readonly #rules: (readonly Part[])[] = [];
  #elements = 0;

  /** A rule whose alternatives come later, so that they can refer to it. */
  reserve(): number {
    return this.#rules.push([]) - 1;
  }

  define(rule: number, alternatives: readonly Part[]): Part {
    this.#count(alternatives.reduce((sum, part) => sum + part.length + 1, 0));
    this.#rules[rule] = alternatives;
    return [{ rule }];
  }

  choice(...alternatives: readonly Part[]): Part {
    const [only] = alternatives;
    return alternatives.length === 1 && only !== undefined ? only : this.define(this.reserve(), alternatives);
  }

  optional(part: Part): Part {
    return this.choice(part, []);
  }

  /** `part`, at least `least` times; `most` null is without end. */
  repeat(part: Part, least: number, most: number | null): Part {
    const one = part.length === 1 ? part : this.define(this.reserve(), [part]);
    this.#count(least * one.length);
    let tail: Part = [];
    if (most === null) {
      const rule = this.reserve();
      tail = this.define(rule, [[...one, { rule }], []]);
    } else for (let left = most - least; left > 0; left -= 1) tail = this.optional([...one, ...tail]);
    return [...Array.from({ length: least }, () => one).flat(), ...tail];
  }

  #count(elements: number): void {
    this.#elements += elements;
    if (this.#elements > mostElements) throw new GrammarTooLarge(`it takes more than ${mostElements} steps`);
  }

  build(root: Part): Grammar {
    const rule = this.reserve();
    this.define(rule, [root]);
    return { rules: this.#rules, root: rule };
  }
}

/** Exactly this text, in UTF-8. */
export function literal(text: string): Part {
  return [...Buffer.from(text)].map((byte) => ({ bytes: [byte, byte] }));
}

/** One character of ASCII ranges, written as pairs: "azAZ09". */
export function oneOf(pairs: string): Part {
  return [{ bytes: [...Buffer.from(pairs)] }];
}
