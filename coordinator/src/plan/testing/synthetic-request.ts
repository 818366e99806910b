import { digestOfJson } from "@espalier/shared/contracts/digest";
import { syntheticKit } from "../../predict/testing/synthetic-device.ts";
import type { PlanDevice, PlanRequest } from "../decide/make-plan.ts";
import { syntheticCandidates } from "./synthetic-candidates.ts";

const kit = syntheticKit();

/** Asks for a plan of these devices, without limits unless `spec` has some. */
export function syntheticRequest(
  devices: readonly PlanDevice[],
  spec: Partial<PlanRequest["spec"]> = {},
  other: Partial<PlanRequest> = {},
): PlanRequest {
  return {
    spec: {
      limits: {},
      overrides: [],
      promptTokens: 64,
      outputTokens: 24,
      qualityFloor: {},
      maxVariants: 4,
      buildFallbacks: true,
      ...spec,
    },
    modelDigest: digestOfJson("model"),
    modelName: "model",
    kit,
    candidates: syntheticCandidates(),
    devices,
    contextTokens: 2048,
    companionBytes: 3e6,
    buildSeconds: null,
    corrections: [],
    checkIndex: "",
    ...other,
  };
}
