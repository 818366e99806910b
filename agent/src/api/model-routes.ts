import type { IncomingMessage, ServerResponse } from "node:http";
import { noModel, sendJson } from "./api-error.ts";
import type { ModelSlot } from "./model-slot.ts";

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
