/** Hands values from callbacks to one `for await` loop, in order. */
export interface MessageQueue<Value> extends AsyncIterable<Value> {
  push(value: Value): void;
  /** Ends the loop after what was pushed. */
  end(): void;
  fail(error: unknown): void;
}

export function createMessageQueue<Value>(): MessageQueue<Value> {
  const values: Value[] = [];
  let ending: { error?: unknown } | null = null;
  let wake: () => void = () => {};

  function finish(how: { error?: unknown }): void {
    ending ??= how;
    wake();
  }

  return {
    push(value) {
      if (ending !== null) return;
      values.push(value);
      wake();
    },
    end: () => finish({}),
    fail: (error) => finish({ error }),
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const [value] = values;
        if (values.length > 0) {
          values.shift();
          yield value as Value;
        } else if (ending !== null) {
          if ("error" in ending) throw ending.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    },
  };
}
