import type { Detokenize } from "./tokenizer.ts";

/** What an incomplete UTF-8 sequence decodes to. */
const replacement = "\uFFFD";
/** A character has at most 4 bytes, so more tokens than this that end in a broken one are broken for good. */
const maxHeldTokens = 8;
/** Tokens of context: enough for decoders that treat the first word of a text differently. */
const contextTokens = 4;

/**
 * Turns tokens into text as they come. A token may hold half a character, and a decoder may drop a leading space, so
 * text is the difference between decoding with and without the new tokens, held back while it ends inside a
 * character. The pieces joined are the whole text.
 */
export class TextStream {
  readonly #decode: Detokenize;
  /** Tokens before `#emitted` are context whose text is out already; the others are held. */
  #tokens: number[];
  #emitted: number;

  /** `prompt` gives the context in which the first token is decoded. */
  constructor(decode: Detokenize, prompt: readonly number[]) {
    this.#decode = decode;
    this.#tokens = prompt.slice(-contextTokens);
    this.#emitted = this.#tokens.length;
  }

  /** The text that is certain after this token, often empty. */
  push(token: number): string {
    this.#tokens.push(token);
    const text = this.#heldText();
    if (text.endsWith(replacement) && this.#tokens.length - this.#emitted < maxHeldTokens) return "";
    return this.#release(text);
  }

  /** What is still held at the end of generation. */
  flush(): string {
    return this.#release(this.#heldText());
  }

  #heldText(): string {
    const before = this.#decode(this.#tokens.slice(0, this.#emitted));
    return this.#decode(this.#tokens).slice(before.length);
  }

  #release(text: string): string {
    this.#tokens = this.#tokens.slice(-contextTokens);
    this.#emitted = this.#tokens.length;
    return text;
  }
}
