import type { ClassCorrection } from "@espalier/shared/contracts/correction";
import { correctionsOf } from "../predict/decide/corrections.ts";
import { observationsOf } from "../predict/decide/observations.ts";
import { readCorrectionResets } from "../store/correction-resets.ts";
import type { Queries } from "../store/database.ts";
import { listRollouts } from "../store/rollouts.ts";

/** How predictions are corrected now, from all rollouts since each class was reset. */
export async function presentCorrections(db: Queries): Promise<ClassCorrection[]> {
  return correctionsOf(observationsOf(await listRollouts(db), await readCorrectionResets(db)));
}
