import { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { EspalierError } from "@espalier/shared/errors";
import type { BuildSettings } from "../builds/compose-job.ts";
import type { Queries } from "../store/database.ts";
import { findTree } from "../store/trees.ts";

/** A spec whose model and datasets are digests, so that a name given to something else later changes nothing. */
export interface ResolvedSpec {
  spec: RolloutSpec;
  settings: BuildSettings;
  modelName: string;
}

/**
 * Validates what an operator asks for.
 * @throws {EspalierError} `rollout-spec.invalid`, listing every problem with its path and what was expected
 */
export async function resolveSpec(db: Queries, input: unknown): Promise<ResolvedSpec> {
  const parsed = RolloutSpec.safeParse(input);
  if (!parsed.success) {
    throw invalid(parsed.error.issues.map(({ path, message }) => `${path.join(".") || "spec"}: ${message}`));
  }
  const spec = parsed.data;
  const problems: string[] = [];
  const find = async (path: "model" | "calibration" | "evaluation") => {
    const name = spec[path];
    if (name === undefined) return null;
    const kind = path === "model" ? "model" : "dataset";
    const tree = await findTree(db, kind, name);
    if (tree === null) problems.push(`${path}: no ${kind} "${name}" is imported; import it first or name another`);
    return tree;
  };
  const [model, calibration, evaluation] = [await find("model"), await find("calibration"), await find("evaluation")];
  if (problems.length > 0 || model === null) throw invalid(problems);
  return {
    spec: {
      ...spec,
      model: model.digest,
      ...(calibration === null ? {} : { calibration: calibration.digest }),
      ...(evaluation === null ? {} : { evaluation: evaluation.digest }),
    },
    settings: {
      model: { digest: model.digest, sizeBytes: model.sizeBytes },
      calibrationDigest: calibration?.digest ?? null,
      evaluationDigest: evaluation?.digest ?? null,
      build: spec.build,
    },
    modelName: model.name,
  };
}

function invalid(problems: readonly string[]): EspalierError {
  const list = problems.map((problem) => `\n  ${problem}`).join("");
  return new EspalierError("rollout-spec.invalid", `the rollout spec has ${problems.length} problem(s):${list}`, {
    fields: { problems: problems.length },
    remedy: "correct them and send the spec again",
  });
}
