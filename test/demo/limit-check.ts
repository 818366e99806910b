import { messages } from "@espalier/cli/client";
import type { DeviceView } from "@espalier/cli/commands/device";
import type { VariantView } from "@espalier/cli/commands/variant";
import { Measurements } from "@espalier/shared/contracts/profile";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument } from "@espalier/shared/grpc";
import type { DemoReport, LimitCheck } from "./report.ts";

export interface LimitQuestion {
  client: OperatorClient;
  variants: VariantView[];
  devices: DeviceView[];
  deviceName: string;
  tpotP90Ms: number;
}

/**
 * Is the limit really broken by the dense variant of equal bits, and kept by the device's own? Both are timed on the
 * device one after the other, so that whatever else the machine does meets both; neither is activated by it.
 */
export async function checkLimit(question: LimitQuestion): Promise<DemoReport["limit"]> {
  const { deviceName, tpotP90Ms } = question;
  const device = question.devices.find(({ name }) => name === deviceName);
  const chosen = question.variants.find(({ artifactDigest }) => artifactDigest === device?.activeArtifactDigest);
  const dense = question.variants.find(
    ({ report }) =>
      report?.recipe.pruning.method === "none" && bitsOf(report.recipe) === bitsOf(chosen?.report?.recipe ?? null),
  );
  const lengths = device?.proof?.timing;
  if (chosen === undefined || dense === undefined || lengths === undefined || lengths === null) return null;

  const check = async (variant: VariantView): Promise<LimitCheck | null> => {
    const request = {
      selector: `device=${deviceName}`,
      variantDigest: variant.artifactDigest,
      promptTokens: lengths.promptTokens,
      outputTokens: lengths.outputTokens,
    };
    for await (const event of messages(question.client.measureDevices(request))) {
      if (!event.measurements) continue;
      const measured = fromDocument(event.measurements, Measurements).variants[0]?.tpotMs.p90;
      if (measured !== undefined) return { variant: variant.name, tpotP90Ms: measured, kept: measured <= tpotP90Ms };
    }
    return null;
  };
  const denseCheck = await check(dense);
  const chosenCheck = await check(chosen);
  return denseCheck === null || chosenCheck === null
    ? null
    : { device: deviceName, tpotP90Ms, dense: denseCheck, chosen: chosenCheck };
}

function bitsOf(recipe: { quantization: { method: string; bits?: unknown } } | null): unknown {
  return recipe?.quantization.bits ?? null;
}
