import { ApiError } from "./api-error.ts";
import type { ServedModel } from "./model-slot.ts";

/** A request may name the model or the variant, or none. Throws a 404 that says what is served. */
export function checkModelName(model: ServedModel, wanted: string | null | undefined): void {
  if (wanted == null || wanted === model.modelName || wanted === model.variantName) return;
  throw new ApiError(404, "model_not_found", `This device serves ${model.modelName}, not ${wanted}`, {
    param: "model",
  });
}
