import { StopStrings } from "../text/stop-strings.ts";
import { TextStream } from "../text/text-stream.ts";
import type { GenerationPlan } from "./generation-plan.ts";
import type { ServedModel } from "./model-slot.ts";

export type FinishReason = "stop" | "length";

/** A piece of the answer; the last one says why it ended and may be empty. */
export interface AnswerPiece {
  readonly text: string;
  readonly finish: FinishReason | null;
}

/** Told of each generated token, stop tokens included. */
export type OnToken = () => void;

/** The answer as text, piece by piece. Pieces are whole characters and contain no part of a stop string. */
export async function* answer(
  model: ServedModel,
  plan: GenerationPlan,
  onToken: OnToken,
  signal: AbortSignal,
): AsyncGenerator<AnswerPiece> {
  const { tokenizer, runtime } = model;
  const stream = new TextStream(tokenizer.decode, plan.promptTokens);
  const stops = new StopStrings(plan.stopStrings);
  const request = {
    tokens: plan.promptTokens,
    maxTokens: plan.maxTokens,
    sampling: plan.sampling,
    stopTokenIds: tokenizer.stopTokenIds,
  };
  for await (const { tokenId, finish } of runtime.generate(request, signal)) {
    onToken();
    const isLast = finish !== null;
    const decoded = finish === "stop" ? stream.flush() : stream.push(tokenId) + (isLast ? stream.flush() : "");
    const { text, stopped } = stops.push(decoded);
    if (stopped) return yield { text, finish: "stop" };
    if (isLast) return yield { text: text + stops.flush(), finish };
    if (text !== "") yield { text, finish: null };
  }
}
