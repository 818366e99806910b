import { EspalierError } from "@espalier/shared/errors";
import { status } from "@grpc/grpc-js";

const remedies: Partial<Record<number, string>> = {
  [status.UNAVAILABLE]: "is the coordinator running? `espalier up` starts one; --context names another",
  [status.UNAUTHENTICATED]: "the coordinator does not know this certificate: copy context.json and its keys again",
  [status.PERMISSION_DENIED]: "this certificate may not do that: use an operator's",
};

/** The one place where gRPC's errors become ours; `details` is the coordinator's own message. */
export function fromGrpcError(error: unknown): EspalierError {
  const { code, details, message } = error as { code?: number; details?: string; message?: string };
  const name = code === undefined ? "unknown" : (status[code] ?? "unknown").toLowerCase().replaceAll("_", "-");
  const remedy = code === undefined ? undefined : remedies[code];
  return new EspalierError(`rpc.${name}`, details || message || String(error), {
    cause: error,
    ...(remedy === undefined ? {} : { remedy }),
  });
}
