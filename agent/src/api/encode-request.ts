import type { TextTokenizer } from "../text/tokenizer.ts";
import { contextExceeded } from "./generation-plan.ts";
import type { ChatRequest, CompletionRequest } from "./request-schema.ts";

/** Prompt tokens of a conversation. Throws a 400 when it can't fit, before a long text is tokenized. */
export function encodeChatRequest(
  request: Pick<ChatRequest, "messages">,
  tokenizer: TextTokenizer,
  contextTokens: number,
): number[] {
  const text = tokenizer.renderChat(request.messages);
  refuseTooLong(text, tokenizer, contextTokens);
  return tokenizer.encodeRendered(text);
}

export function encodeCompletionRequest(
  request: Pick<CompletionRequest, "prompt">,
  tokenizer: TextTokenizer,
  contextTokens: number,
): number[] {
  refuseTooLong(request.prompt, tokenizer, contextTokens);
  return tokenizer.encodePrompt(request.prompt);
}

function refuseTooLong(text: string, tokenizer: TextTokenizer, contextTokens: number): void {
  const least = tokenizer.leastTokens(text);
  if (least >= contextTokens) throw contextExceeded(contextTokens, least, 1);
}
