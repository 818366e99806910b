import type { DeviceView } from "@espalier/cli/commands/device";
import { exportedQuality, type VariantView } from "@espalier/cli/commands/variant";
import type { Plan } from "@espalier/shared/contracts/plan";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";

interface Figures {
  tpotMs: number | null;
  ttftMs: number | null;
  peakMemoryBytes: number | null;
}

/** `.espalier/demo/report.json`. Times are medians, as predicted and as the device measured them. */
export interface DemoReport {
  model: string;
  text: string;
  elapsedSeconds: number;
  steps: { step: string; seconds: number }[];
  devices: DemoDevice[];
  /** The last device's limit, and what the dense variant at equal bits and its own variant measured there. */
  limit: { device: string; tpotP90Ms: number; dense: LimitCheck; chosen: LimitCheck } | null;
}

export interface LimitCheck {
  variant: string;
  tpotP90Ms: number;
  kept: boolean;
}

export interface DemoDevice {
  id: string;
  name: string;
  budget: DeviceView["budget"];
  recipe: string | null;
  state: string;
  reason: string;
  predicted: Figures;
  measured: Figures;
  artifactBytes: number | null;
  perplexity: number | null;
  densePerplexity: number | null;
  agreement: number | null;
  answer: string;
}

export interface DemoFacts {
  plan: Plan;
  rollout: RolloutState;
  devices: DeviceView[];
  variants: VariantView[];
  answers: Map<string, string>;
}

/** One row a planned device, each figure taken from what the plan, the device and the artifact's report say. */
export function demoDevices({ plan, rollout, devices, variants, answers }: DemoFacts): DemoDevice[] {
  return plan.devices.map((planned) => {
    const device = devices.find(({ deviceId }) => deviceId === planned.deviceId);
    const variant = variants.find(({ artifactDigest }) => artifactDigest === device?.activeArtifactDigest);
    const timing = device?.proof?.timing;
    const quality = variant === undefined ? null : exportedQuality(variant);
    return {
      id: planned.deviceId,
      name: planned.name,
      budget: device?.budget ?? null,
      recipe: planned.choice?.variantName ?? null,
      state: rollout.devices.find(({ deviceId }) => deviceId === planned.deviceId)?.phase ?? "unknown",
      reason: planned.reason,
      predicted: {
        tpotMs: planned.choice?.prediction.tpotMs.value ?? null,
        ttftMs: planned.choice?.prediction.ttftMs.value ?? null,
        peakMemoryBytes: planned.choice?.prediction.peakMemoryBytes.value ?? null,
      },
      measured: {
        tpotMs: timing?.tpotMs.median ?? null,
        ttftMs: timing?.ttftMs.median ?? null,
        peakMemoryBytes: timing?.peakMemoryBytes ?? null,
      },
      artifactBytes: variant?.totalBytes ?? null,
      perplexity: quality?.perplexity ?? null,
      densePerplexity: variant?.report?.dense.quality.perplexity ?? null,
      agreement: quality?.agreement ?? null,
      answer: answers.get(planned.deviceId) ?? "",
    };
  });
}
