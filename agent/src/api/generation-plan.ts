import type { GuideRequest } from "../grammar/token-guide.ts";
import type { Sampling } from "../runtime/sampling.ts";
import { ApiError } from "./api-error.ts";
import type { GenerationRequest } from "./request-schema.ts";

/** What a request asks for, every default settled. */
export interface GenerationPlan {
  readonly promptTokens: readonly number[];
  readonly maxTokens: number;
  readonly sampling: Sampling;
  readonly stopStrings: readonly string[];
  /** Answers to give, each with a seed of its own. */
  readonly choices: number;
  /** No seed was asked for, so that an answer may start behind what an earlier request computed. */
  readonly reusePrefix: boolean;
  /** Alternatives to report with each token's log probability; null reports neither. */
  readonly logprobs: number | null;
  /** What each answer must be; null is free text. */
  readonly guide: GuideRequest | null;
}

/**
 * Without a temperature the choice is greedy: small models answer worse when sampled at the API's usual default of 1.
 * `defaultMaxTokens` null fills the context. Throws a 400 with the numbers when prompt and answer do not fit.
 */
export function planGeneration(
  request: GenerationRequest,
  facts: {
    readonly promptTokens: readonly number[];
    readonly contextTokens: number;
    readonly defaultMaxTokens: number | null;
    readonly randomSeed: number;
    readonly guide: GuideRequest | null;
  },
): GenerationPlan {
  const { promptTokens, contextTokens } = facts;
  const room = contextTokens - promptTokens.length;
  const asked = ("max_completion_tokens" in request ? request.max_completion_tokens : null) ?? request.max_tokens;
  if (room < 1 || (asked ?? 0) > room) throw contextExceeded(contextTokens, promptTokens.length, asked ?? 1);
  const stop = request.stop ?? [];
  return {
    promptTokens,
    maxTokens: asked ?? Math.min(room, facts.defaultMaxTokens ?? room),
    sampling: {
      temperature: request.temperature ?? 0,
      topK: request.top_k ?? 0,
      topP: request.top_p ?? 1,
      minP: request.min_p ?? 0,
      repetitionPenalty: request.repetition_penalty ?? 1,
      frequencyPenalty: request.frequency_penalty ?? 0,
      presencePenalty: request.presence_penalty ?? 0,
      logitBias: Object.entries(request.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias]),
      seed: request.seed ?? facts.randomSeed,
    },
    stopStrings: typeof stop === "string" ? [stop] : stop,
    choices: request.n ?? 1,
    reusePrefix: request.seed == null,
    logprobs: wantedLogprobs(request),
    guide: facts.guide,
  };
}

function wantedLogprobs(request: GenerationRequest): number | null {
  if (!("messages" in request)) return request.logprobs ?? null;
  return request.logprobs === true ? (request.top_logprobs ?? 0) : null;
}

export function contextExceeded(contextTokens: number, promptTokens: number, answerTokens: number): ApiError {
  return new ApiError(
    400,
    "context_length_exceeded",
    `This device's context is ${contextTokens} tokens, but the request needs ${promptTokens + answerTokens} ` +
      `(${promptTokens} in the prompt, ${answerTokens} for the answer). Shorten one of them.`,
  );
}
