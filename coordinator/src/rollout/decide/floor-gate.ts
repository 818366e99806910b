import type { EvaluationReport } from "@espalier/shared/contracts/report";
import type { QualityFloor } from "@espalier/shared/contracts/rollout-spec";
import type { GateResult } from "@espalier/shared/contracts/rollout-state";
import { floorBreaches } from "../../plan/decide/candidate.ts";
import { exportedQuality } from "../../plan/decide/exported-quality.ts";

/** Whether a built variant keeps the quality floor, by the report of what ships. Nothing while it has no report. */
export function floorGate(variantName: string, report: EvaluationReport | null, floor: QualityFloor): GateResult[] {
  if (report === null) return [];
  const quality = exportedQuality(report);
  if (quality === null) {
    const message = "the report has no quality of the exported variant";
    return [{ ...base(variantName), verdict: "error", measured: null, allowed: null, evidence: 0, message }];
  }
  const { dense, slices } = report;
  const breach = floorBreaches({ quality, qualitySource: "report", dense: dense.quality, slices }, floor)[0];
  const evidence = report.stages.find(({ stage }) => stage === "exported")?.protocol?.windows ?? 0;
  if (breach === undefined) {
    const ratio = quality.perplexity / dense.quality.perplexity;
    const message = `perplexity ${ratio.toFixed(3)} times the dense model's, agreement ${quality.agreement.toFixed(3)}, KL ${quality.kl.toFixed(4)}`;
    return [
      {
        ...base(variantName),
        verdict: "pass",
        measured: ratio,
        allowed: floor.maxPerplexityRatio ?? null,
        evidence,
        message,
      },
    ];
  }
  const message = `${breach.measure} is ${breach.allowed}, the variant has ${breach.measured.toPrecision(4)}`;
  return [
    { ...base(variantName), verdict: "fail", measured: breach.measured, allowed: breach.allowed, evidence, message },
  ];
}

function base(subject: string): Pick<GateResult, "gate" | "subject"> {
  return { gate: "quality-floor", subject };
}
