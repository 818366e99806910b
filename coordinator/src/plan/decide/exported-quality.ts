import type { Quality } from "@espalier/shared/contracts/quality";
import type { EvaluationReport } from "@espalier/shared/contracts/report";

/** The quality of the files that ship; null when the report lacks it. */
export function exportedQuality(report: EvaluationReport): Quality | null {
  return report.stages.findLast(({ stage }) => stage === "exported")?.quality ?? null;
}
