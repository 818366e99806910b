import { EspalierError } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { ZodError } from "zod";

/** By the last word of our codes (`<subject>.<problem>`); anything else of ours means that the state forbids it. */
const statusByProblem: Readonly<Record<string, status>> = {
  unknown: status.NOT_FOUND,
  missing: status.NOT_FOUND,
  malformed: status.INVALID_ARGUMENT,
  invalid: status.INVALID_ARGUMENT,
  refused: status.INVALID_ARGUMENT,
  exists: status.ALREADY_EXISTS,
  unauthenticated: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  limited: status.RESOURCE_EXHAUSTED,
  oversize: status.RESOURCE_EXHAUSTED,
  "disk-full": status.RESOURCE_EXHAUSTED,
  offline: status.UNAVAILABLE,
};

/**
 * The one place where our errors become gRPC's. The code travels in the metadata
 * `espalier-code`, the remedy in `espalier-remedy-bin` (it may hold any letter); an error that isn't
 * ours is logged and its text kept from the caller.
 */
export function toServiceError(error: unknown, log: Logger): Pick<ServiceError, "code" | "details" | "metadata"> {
  const metadata = new Metadata();
  if (error instanceof EspalierError) {
    metadata.set("espalier-code", error.code);
    const problem = error.code.slice(error.code.lastIndexOf(".") + 1);
    if (error.remedy !== undefined) metadata.set("espalier-remedy-bin", Buffer.from(error.remedy));
    return { code: statusByProblem[problem] ?? status.FAILED_PRECONDITION, details: error.message, metadata };
  }
  if (error instanceof ZodError || error instanceof SyntaxError) {
    const details = error instanceof ZodError ? describe(error) : error.message;
    return { code: status.INVALID_ARGUMENT, details, metadata };
  }
  log.error({ err: error }, "a call failed");
  return { code: status.INTERNAL, details: "the coordinator failed; see its log", metadata };
}

function describe(error: ZodError): string {
  const problems = error.issues
    .slice(0, 20)
    .map(({ path, message }) => `${path.join(".") || "(top level)"}: ${message}`);
  return problems.join("; ");
}
