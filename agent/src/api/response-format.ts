import type { AnswerPiece, FinishReason } from "./answer.ts";

/** What every body about one answer carries. */
export interface AnswerHeader {
  readonly id: string;
  readonly createdSeconds: number;
  readonly modelName: string;
  /** Tells which variant answered: the artifact's digest. */
  readonly fingerprint: string;
}

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** How one endpoint words an answer (OpenAI API reference, "chat" and "completions"). */
export interface ResponseFormat {
  readonly idPrefix: string;
  whole(header: AnswerHeader, text: string, finish: FinishReason, usage: Usage): object;
  /** A streamed piece. `isFirst` opens the message. */
  piece(header: AnswerHeader, piece: AnswerPiece, isFirst: boolean): object;
  /** The extra last chunk of `stream_options.include_usage`. */
  usage(header: AnswerHeader, usage: Usage): object;
}

export const chatFormat: ResponseFormat = {
  idPrefix: "chatcmpl-",
  whole: (header, text, finish, usage) => ({
    ...envelope(header, "chat.completion"),
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: text, refusal: null },
        logprobs: null,
        finish_reason: finish,
      },
    ],
    usage: usageBody(usage),
  }),
  piece: (header, { text, finish }, isFirst) => ({
    ...envelope(header, "chat.completion.chunk"),
    choices: [
      {
        index: 0,
        delta: { ...(isFirst ? { role: "assistant" } : {}), ...(isFirst || text !== "" ? { content: text } : {}) },
        logprobs: null,
        finish_reason: finish,
      },
    ],
  }),
  usage: (header, usage) => ({
    ...envelope(header, "chat.completion.chunk"),
    choices: [],
    usage: usageBody(usage),
  }),
};

export const completionFormat: ResponseFormat = {
  idPrefix: "cmpl-",
  whole: (header, text, finish, usage) => ({
    ...envelope(header, "text_completion"),
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
    usage: usageBody(usage),
  }),
  piece: (header, { text, finish }) => ({
    ...envelope(header, "text_completion"),
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
  }),
  usage: (header, usage) => ({ ...envelope(header, "text_completion"), choices: [], usage: usageBody(usage) }),
};

function envelope(header: AnswerHeader, object: string): object {
  return {
    id: header.id,
    object,
    created: header.createdSeconds,
    model: header.modelName,
    system_fingerprint: header.fingerprint,
  };
}

function usageBody({ promptTokens, completionTokens }: Usage): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
