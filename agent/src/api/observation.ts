/** What telemetry learns of one finished request. Times are null where the request produced too few tokens. */
export interface RequestObservation {
  readonly outcome: "succeeded" | "failed" | "cancelled";
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** From the request's arrival to its first token. */
  readonly ttftMs: number | null;
  /** Mean time between tokens after the first; null with fewer than two tokens. */
  readonly tpotMs: number | null;
}
