/** What a child process with a loaded model is asked, one request at a time. */
export interface RunRequest {
  readonly tokens: readonly number[];
  /** Tokens to generate, the first one included. */
  readonly newTokens: number;
}

export interface RunResult {
  readonly tokens: readonly number[];
  /** From the request to its first token. */
  readonly firstMs: number;
  /** Between tokens after that. */
  readonly stepsMs: readonly number[];
}

/** A child's first message. */
export interface Loaded {
  readonly loadMs: number;
}

export type FromChild = Loaded | RunResult;

/** Greedy tokens of a freshly prefilled prompt. */
export type Generate = (tokens: readonly number[], newTokens: number) => AsyncIterable<number>;

/** Answers the parent's requests with what `generate` yields and when. */
export function serveRuns(loadMs: number, generate: Generate): void {
  const send = (message: FromChild): void => void process.send?.(message);
  process.on("message", async ({ tokens, newTokens }: RunRequest) => {
    const generated: number[] = [];
    const timesMs = [performance.now()];
    for await (const token of generate(tokens, newTokens)) {
      timesMs.push(performance.now());
      generated.push(token);
      if (generated.length === newTokens) break;
    }
    const gaps = timesMs.slice(1).map((timeMs, i) => timeMs - (timesMs[i] ?? 0));
    send({ tokens: generated, firstMs: gaps[0] ?? Number.NaN, stepsMs: gaps.slice(1) });
  });
  send({ loadMs });
}
