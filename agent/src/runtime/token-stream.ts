/**
 * Values pushed by one side, read by an async iteration on the other. Ends or fails once; what was pushed before is
 * still delivered.
 */
export class TokenStream<Value> implements AsyncIterable<Value> {
  readonly #values: Value[] = [];
  #end: { readonly error: unknown } | "open" | "ended" = "open";
  #wake: () => void = () => {};

  push(value: Value): void {
    this.#values.push(value);
    this.#wake();
  }

  end(): void {
    if (this.#end === "open") this.#end = "ended";
    this.#wake();
  }

  fail(error: unknown): void {
    if (this.#end === "open") this.#end = { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Value> {
    for (;;) {
      const value = this.#values.shift();
      if (value !== undefined) yield value;
      else if (this.#end === "ended") return;
      else if (this.#end !== "open") throw this.#end.error;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
