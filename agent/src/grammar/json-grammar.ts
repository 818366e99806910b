import { type Grammar, GrammarBuilder, literal, oneOf, type Part } from "./grammar.ts";

/** A little white space where JSON allows it: a model that could go on with spaces for ever sometimes does. */
const mostIndent = 16;
/** Digits that a double keeps, and exponents that it has. */
const mostDigits = 15;
const mostBoundedDecimals = 6;

/** As JSON Schema's keywords say; infinite ones bound nothing. */
export interface Bounds {
  readonly minimum: number;
  readonly maximum: number;
  readonly exclusiveMinimum: number;
  readonly exclusiveMaximum: number;
}

/** The pieces of JSON (RFC 8259) that any schema is made of. */
export class JsonGrammar {
  readonly builder = new GrammarBuilder();
  readonly space: Part;
  readonly #character: Part;
  readonly number: Part;
  readonly integer: Part;
  readonly #anyString: Part;
  #any: number | null = null;

  constructor() {
    const { builder } = this;
    const indented = [...literal("\n"), ...builder.repeat(literal(" "), 0, mostIndent)];
    this.space = builder.optional(builder.choice(literal(" "), indented));
    this.#character = this.#oneCharacter();
    this.#anyString = [...literal('"'), ...builder.repeat(this.#character, 0, null), ...literal('"')];
    const digits = (most: number): Part => builder.repeat(oneOf("09"), 1, most);
    const whole = builder.choice(literal("0"), [...oneOf("19"), ...builder.repeat(oneOf("09"), 0, mostDigits - 1)]);
    const sign = builder.optional(literal("-"));
    this.integer = [...sign, ...whole];
    const fraction = builder.optional([...literal("."), ...digits(mostDigits)]);
    const exponent = builder.optional([...oneOf("eeEE"), ...builder.optional(oneOf("++--")), ...digits(2)]);
    this.number = [...sign, ...whole, ...fraction, ...exponent];
  }

  /** A string of so many characters; `most` null is without end. */
  string(least: number, most: number | null): Part {
    if (least === 0 && most === null) return this.#anyString;
    return [...literal('"'), ...this.builder.repeat(this.#character, least, most), ...literal('"')];
  }

  boolean(): Part {
    return this.builder.choice(literal("true"), literal("false"));
  }

  /** Numbers within the bounds, whole ones or with up to 6 decimals; null where there is none. */
  numberWithin({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Bounds, isWhole: boolean): Part | null {
    const { ceil, floor, max, min } = Math;
    if (max(minimum, exclusiveMinimum) === -Infinity && min(maximum, exclusiveMaximum) === Infinity)
      return isWhole ? this.integer : this.number;
    const all: Part[] = [];
    for (let decimals = 0; decimals <= (isWhole ? 0 : mostBoundedDecimals); decimals += 1) {
      // In units of the last decimal, where a bound is exact: 0.29e2 is 29, 0.29 * 100 isn't.
      const units = (value: number): number => (Number.isFinite(value) ? Number(`${value}e${decimals}`) : value);
      const low = max(ceil(units(minimum)), floor(units(exclusiveMinimum)) + 1);
      const high = min(floor(units(maximum)), ceil(units(exclusiveMaximum)) - 1);
      const limit = 10 ** mostDigits - 1;
      if (low < 0)
        for (const part of this.#magnitudes(max(1, -high), min(limit, -low), decimals))
          all.push([...literal("-"), ...part]);
      if (high >= 0) all.push(...this.#magnitudes(max(0, low), min(limit, high), decimals));
    }
    return all.length === 0 ? null : this.builder.choice(...all);
  }

  array(item: Part, least: number, most: number | null): Part {
    const open = [...literal("["), ...this.space];
    const close = [...this.space, ...literal("]")];
    if (most === 0) return [...open, ...literal("]")];
    const more = this.builder.repeat(
      [...this.#comma(), ...item],
      Math.max(0, least - 1),
      most === null ? null : most - 1,
    );
    const filled = [...open, ...item, ...more, ...close];
    return least > 0 ? filled : this.builder.choice(filled, [...open, ...literal("]")]);
  }

  /** Any members, with values as given. */
  map(value: Part): Part {
    const member = this.#member(this.#anyString, value);
    const more = this.builder.repeat([...this.#comma(), ...member], 0, null);
    const open = [...literal("{"), ...this.space];
    return this.builder.choice(
      [...open, ...member, ...more, ...this.space, ...literal("}")],
      [...open, ...literal("}")],
    );
  }

  /** Members in this order; those that aren't required may be left out. */
  object(members: readonly { name: string; value: Part; required: boolean }[]): Part {
    const { builder } = this;
    const end = [...this.space, ...literal("}")];
    // What may follow when something, or nothing yet, stands before it.
    let behindFirst: Part = end;
    let asFirst: Part = literal("}");
    for (const { name, value, required } of members.toReversed()) {
      const member = this.#member(literal(JSON.stringify(name)), value);
      const shared = builder.define(builder.reserve(), [[...member, ...behindFirst]]);
      asFirst = required ? shared : builder.choice(shared, asFirst);
      const next = [...this.#comma(), ...shared];
      behindFirst = required ? next : builder.choice(next, behindFirst);
    }
    return [...literal("{"), ...this.space, ...asFirst];
  }

  /** Any value. */
  any(): Part {
    if (this.#any !== null) return [{ rule: this.#any }];
    const { builder } = this;
    const rule = builder.reserve();
    this.#any = rule;
    const value: Part = [{ rule }];
    const scalars = [this.#anyString, this.number, this.boolean(), literal("null")];
    return builder.define(rule, [...scalars, this.array(value, 0, null), this.map(value)]);
  }

  #member(name: Part, value: Part): Part {
    return [...name, ...literal(":"), ...this.space, ...value];
  }

  #comma(): Part {
    return [...literal(","), ...this.space];
  }

  /** Same numbers of digits together: [19, 2305] is [19, 99], [100, 999], [1000, 2305]; all in units of the last decimal. */
  #magnitudes(low: number, high: number, decimals: number): Part[] {
    const parts: Part[] = [];
    const written = (value: number): string => {
      const digits = String(value).padStart(decimals + 1, "0");
      return decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
    };
    const lengthOf = (value: number): number => Math.max(decimals + 1, String(value).length);
    for (let digits = lengthOf(low); digits <= lengthOf(high) && low <= high; digits += 1) {
      const first = Math.max(low, digits === decimals + 1 ? 0 : 10 ** (digits - 1));
      parts.push(this.#between(written(first), written(Math.min(high, 10 ** digits - 1))));
    }
    return parts;
  }

  /** Numbers from `first` to `last`, of as many digits and with the point at the same place. */
  #between(first: string, last: string): Part {
    const [low = "", high = ""] = [first.slice(0, 1), last.slice(0, 1)];
    if (low === "") return [];
    const [lowRest, highRest] = [first.slice(1), last.slice(1)];
    if (low === high) return [...literal(low), ...this.#between(lowRest, highRest)];
    const alternatives: Part[] = [
      [...literal(low), ...this.#between(lowRest, lowRest.replaceAll(/\d/g, "9"))],
      [...literal(high), ...this.#between(highRest.replaceAll(/\d/g, "0"), highRest)],
    ];
    if (Number(high) - Number(low) > 1)
      alternatives.push([
        ...oneOf(`${Number(low) + 1}${Number(high) - 1}`),
        ...Array.from(highRest, (one) => (one === "." ? literal(one) : oneOf("09"))).flat(),
      ]);
    return this.builder.choice(...alternatives);
  }

  /** One character of a string: well-formed UTF-8 (RFC 3629) or an escape, but for halves of surrogate pairs. */
  #oneCharacter(): Part {
    const bytes = (...ranges: number[]): Part => [{ bytes: ranges }];
    const tail = bytes(0x80, 0xbf);
    const hex = oneOf("09afAF");
    const scalar = this.builder.choice(
      [...oneOf("09acefACEF"), ...hex, ...hex, ...hex],
      [...oneOf("ddDD"), ...oneOf("07"), ...hex, ...hex],
    );
    return this.builder.choice(
      bytes(0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f),
      [...bytes(0xc2, 0xdf), ...tail],
      [...bytes(0xe0, 0xe0), ...bytes(0xa0, 0xbf), ...tail],
      [...bytes(0xe1, 0xec, 0xee, 0xef), ...tail, ...tail],
      [...bytes(0xed, 0xed), ...bytes(0x80, 0x9f), ...tail],
      [...bytes(0xf0, 0xf0), ...bytes(0x90, 0xbf), ...tail, ...tail],
      [...bytes(0xf1, 0xf3), ...tail, ...tail, ...tail],
      [...bytes(0xf4, 0xf4), ...bytes(0x80, 0x8f), ...tail, ...tail],
      [...literal("\\"), ...this.builder.choice(oneOf('""\\\\//bbffnnrrtt'), [...literal("u"), ...scalar])],
    );
  }
}

/** Any JSON object. */
export function anyObject(): Grammar {
  const json = new JsonGrammar();
  return json.builder.build(json.map(json.any()));
}
