import type { DeviceModel, FormatModel } from "./device-model.ts";
import type { ShapeFeatures } from "./shape-features.ts";

/** A variant's side of a prediction. */
export interface PredictionVariant {
  shape: ShapeFeatures;
  /** Tokens that the agent's KV cache has room for. */
  contextTokens: number;
  /** All files of the artifact, on the disk. */
  artifactBytes: number;
  /** What of them travels to a device that holds none. */
  wireBytes: number;
}

export interface Refusal {
  problem: "format-not-measured" | "shape-differs" | "memory-not-measured";
  message: string;
}

/** A variant beside the costs of its format: what holds for all devices that were timed alike. */
export type Match =
  | { kind: "refused"; refusal: Refusal }
  | { kind: "plain"; variant: PredictionVariant; model: FormatModel }
  | { kind: "mixed"; narrow: Match; wide: Match; wideShare: number };

export function matchVariant(variant: PredictionVariant, modelOf: DeviceModel): Match {
  const { shape } = variant;
  if (shape.mixed !== null) {
    const { narrow, wide, wideShare } = shape.mixed;
    const of = (one: ShapeFeatures) => matchVariant({ ...variant, shape: one }, modelOf);
    return { kind: "mixed", narrow: of(narrow), wide: of(wide), wideShare };
  }
  const model = modelOf(shape.formatKey);
  if (model === null) return { kind: "refused", refusal: notTimed(shape) };
  const difference = model.layout.differenceFrom(shape);
  if (difference === null) return { kind: "plain", variant, model };
  const message = `the kit was made for another shape: ${difference}`;
  return { kind: "refused", refusal: { problem: "shape-differs", message } };
}

function notTimed({ formatKey }: ShapeFeatures): Refusal {
  return {
    problem: "format-not-measured",
    message: `the device has not timed weights in format ${formatKey}; measure it with a kit that has it`,
  };
}
