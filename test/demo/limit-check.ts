import { messages } from "@espalier/cli/client";
import type { DeviceView } from "@espalier/cli/commands/device";
import type { VariantView } from "@espalier/cli/commands/variant";
import { Measurements } from "@espalier/shared/contracts/profile";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument } from "@espalier/shared/grpc";
import type { DemoReport } from "./report.ts";

export interface LimitQuestion {
  client: OperatorClient;
  variants: VariantView[];
  devices: DeviceView[];
  deviceName: string;
  tpotP90Ms: number;
}

/** Times the dense variant of equal bits on the device without activating it: is the limit really broken by it? */
export async function checkLimit(question: LimitQuestion): Promise<DemoReport["limit"]> {
  const { deviceName, tpotP90Ms } = question;
  const device = question.devices.find(({ name }) => name === deviceName);
  const chosen = question.variants.find(({ artifactDigest }) => artifactDigest === device?.activeArtifactDigest);
  const timing = device?.proof?.timing;
  if (device === undefined || chosen === undefined || timing === undefined || timing === null) return null;
  const dense = question.variants.find(
    ({ report }) =>
      report?.recipe.pruning.method === "none" && bitsOf(report.recipe) === bitsOf(chosen.report?.recipe ?? null),
  );
  if (dense === undefined) return null;
  const request = {
    selector: `device=${deviceName}`,
    variantDigest: dense.artifactDigest,
    promptTokens: timing.promptTokens,
    outputTokens: timing.outputTokens,
  };
  for await (const event of messages(question.client.measureDevices(request))) {
    if (!event.measurements) continue;
    const measured = fromDocument(event.measurements, Measurements).variants[0]?.tpotMs.p90;
    if (measured === undefined) continue;
    const check = (variant: string, p90Ms: number) => ({ variant, tpotP90Ms: p90Ms, kept: p90Ms <= tpotP90Ms });
    return {
      device: deviceName,
      tpotP90Ms,
      dense: check(dense.name, measured),
      chosen: check(chosen.name, timing.tpotMs.p90),
    };
  }
  return null;
}

function bitsOf(recipe: { quantization: { method: string; bits?: number } } | null): number | null {
  return recipe?.quantization.bits ?? null;
}
