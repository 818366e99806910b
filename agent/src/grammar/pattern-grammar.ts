import { type AST, RegExpParser, RegExpSyntaxError } from "@eslint-community/regexpp";
import { type CodePoints, complement, jsonCharacter, matching, union } from "./code-points.ts";
import type { GrammarBuilder, Part } from "./grammar.ts";

/** Thrown for what a grammar can't say, with the piece of the pattern. */
export class UnsupportedPattern extends Error {
  override readonly name = "UnsupportedPattern";
}

/** A part and how many characters it takes; `most` null is without end. */
export interface Sized {
  readonly part: Part;
  readonly least: number;
  readonly most: number | null;
}

const parser = new RegExpParser({ ecmaVersion: 2025 });
const anything = complement([]);
const lineEnds = union([[0x0a, 0x0a]], [[0x0d, 0x0d]], [[0x2028, 0x2029]]);
/** What `\p{...}` and its like match, by how they are written: asked from the JavaScript engine, which knows them best. */
const known = new Map<string, CodePoints>();
const mostKnown = 32;

/**
 * The inside of a JSON string that a regular expression (ECMA-262 with the flag `u`, as JSON Schema's `pattern`) matches somewhere.
 * Throws `UnsupportedPattern` for lookaround, backreferences and anchors within, which no context-free grammar of this kind says.
 */
export function patternGrammar(builder: GrammarBuilder, pattern: string): Sized {
  let parsed: AST.Pattern;
  try {
    parsed = parser.parsePattern(pattern, 0, pattern.length, { unicode: true });
  } catch (error) {
    if (error instanceof RegExpSyntaxError) throw new UnsupportedPattern(error.message);
    throw error;
  }
  const compiler = new PatternCompiler(builder);
  return compiler.either(parsed.alternatives.map((alternative) => compiler.anchored(alternative.elements)));
}

class PatternCompiler {
  readonly #builder: GrammarBuilder;

  constructor(builder: GrammarBuilder) {
    this.#builder = builder;
  }

  /** A whole alternative: what isn't anchored may have anything before and after it. */
  anchored(elements: readonly AST.Element[]): Sized {
    const isEdge = (element: AST.Element | undefined, kind: "start" | "end"): boolean =>
      element?.type === "Assertion" && element.kind === kind;
    const [begins, ends] = [isEdge(elements[0], "start"), isEdge(elements.at(-1), "end")];
    const inner = elements.slice(begins ? 1 : 0, ends ? elements.length - 1 : elements.length);
    const rest = begins && ends ? null : this.#repeat(this.#oneOf(anything, "."), 0, null);
    const parts = [begins ? null : rest, ...inner.map((element) => this.#element(element)), ends ? null : rest];
    return this.#sequence(parts.filter((part) => part !== null));
  }

  either(alternatives: readonly Sized[]): Sized {
    const most = alternatives.map((alternative) => alternative.most);
    return {
      part: this.#builder.choice(...alternatives.map(({ part }) => part)),
      least: Math.min(...alternatives.map(({ least }) => least)),
      most: most.includes(null) ? null : Math.max(...most.map(Number)),
    };
  }

  #sequence(parts: readonly Sized[]): Sized {
    return {
      part: parts.flatMap(({ part }) => part),
      least: parts.reduce((sum, { least }) => sum + least, 0),
      most: parts.reduce<number | null>((sum, { most }) => (sum === null || most === null ? null : sum + most), 0),
    };
  }

  #element(element: AST.Element): Sized {
    switch (element.type) {
      case "Character":
        return this.#oneOf([[element.value, element.value]], element.raw);
      case "CharacterSet":
      case "CharacterClass":
        return this.#oneOf(codePointsOf(element), element.raw);
      case "Group":
      case "CapturingGroup":
        if (element.type === "Group" && element.modifiers !== null) throw unsupported(element);
        return this.either(
          element.alternatives.map(({ elements }) => this.#sequence(elements.map((one) => this.#element(one)))),
        );
      case "Quantifier":
        return this.#repeat(
          this.#element(element.element),
          element.min,
          element.max === Number.POSITIVE_INFINITY ? null : element.max,
        );
      default:
        throw unsupported(element);
    }
  }

  #oneOf(points: CodePoints, raw: string): Sized {
    const part = jsonCharacter(this.#builder, points);
    if (part === null) throw new UnsupportedPattern(`${raw} matches nothing`);
    return { part, least: 1, most: 1 };
  }

  #repeat(one: Sized, least: number, most: number | null): Sized {
    return {
      part: this.#builder.repeat(one.part, least, most),
      least: one.least * least,
      most: most === null || one.most === null ? (one.most === 0 || most === 0 ? 0 : null) : one.most * most,
    };
  }
}

function codePointsOf(element: AST.CharacterSet | AST.CharacterClass): CodePoints {
  if (element.type === "CharacterSet") {
    return element.kind === "any" ? complement(lineEnds) : asked(element.raw);
  }
  const parts = element.elements.map((one): CodePoints => {
    switch (one.type) {
      case "Character":
        return [[one.value, one.value]];
      case "CharacterClassRange":
        return [[one.min.value, one.max.value]];
      case "CharacterSet":
        return codePointsOf(one);
      default:
        throw unsupported(one);
    }
  });
  return element.negate ? complement(union(...parts)) : union(...parts);
}

function asked(raw: string): CodePoints {
  const points = known.get(raw) ?? matching(new RegExp(raw, "u"), 0x10ffff);
  if (known.size >= mostKnown) known.clear();
  known.set(raw, points);
  return points;
}

function unsupported({ raw }: { readonly raw: string }): UnsupportedPattern {
  return new UnsupportedPattern(`${raw} can't be kept in a pattern`);
}
