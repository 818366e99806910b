import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError, noModel, sendJson } from "./api-error.ts";
import { encodeChatRequest, encodeCompletionRequest } from "./encode-request.ts";
import { checkModelName } from "./model-name.ts";
import type { ModelSlot } from "./model-slot.ts";
import { readJsonBody } from "./read-body.ts";
import { parseRequest, TokenizeRequest } from "./request-schema.ts";

/** `/v1/models`: the one model served now, or none. */
export function modelsRoute(slot: ModelSlot) {
  return async (_request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const model = slot.current;
    const data =
      model === null
        ? []
        : [
            {
              id: model.modelName,
              object: "model",
              created: Math.floor(model.activatedAtMs / 1000),
              owned_by: "espalier",
              variant: model.variantName,
              artifact_digest: model.artifactDigest,
              context_length: model.runtime.contextTokens,
            },
          ];
    sendJson(response, 200, { object: "list", data });
  };
}

/** `/health`: 200 while a model is served, else 503. */
export function healthRoute(slot: ModelSlot) {
  return async (_request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const model = slot.current;
    if (model === null) throw noModel();
    sendJson(response, 200, { status: "ok", model: model.modelName, variant: model.variantName });
  };
}

/** `/tokenize`: the tokens that a completion's prompt or a chat's messages come to, and the room there is. */
export function tokenizeRoute(slot: ModelSlot) {
  return async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = parseRequest(TokenizeRequest, await readJsonBody(message));
    const model = slot.current;
    if (model === null) throw noModel();
    checkModelName(model, request.model);
    const { tokenizer, runtime } = model;
    const tokens =
      "prompt" in request
        ? encodeCompletionRequest(request, tokenizer, runtime.contextTokens)
        : encodeChatRequest(request, tokenizer, runtime.contextTokens);
    sendJson(response, 200, { tokens, count: tokens.length, max_model_len: runtime.contextTokens });
  };
}

/** `/v1/embeddings`: a decoder's graph gives logits and no embeddings. */
export async function embeddingsRoute(): Promise<void> {
  throw new ApiError(501, "not_implemented", "This device serves a model that generates text; it gives no embeddings");
}
