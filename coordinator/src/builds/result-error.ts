import type { Digest } from "@espalier/shared/contracts/digest";
import { EspalierError } from "@espalier/shared/errors";

/** A builder's result that is not what its job asked for. The job is dead: trying again would give the same. */
export function invalidResult(jobId: Digest, message: string, cause?: unknown): EspalierError {
  return new EspalierError("build.invalid-result", message, {
    fields: { jobId },
    ...(cause === undefined ? {} : { cause }),
  });
}
