import { EspalierError } from "@espalier/shared/errors";
import { type Metadata, status } from "@grpc/grpc-js";

/** What helps when the coordinator itself named no remedy, or never heard of the call. */
const remedies: Partial<Record<number, string>> = {
  [status.UNAVAILABLE]:
    "is the coordinator running? `espalier up` starts one; --context names another; `espalier doctor` looks closer",
  [status.UNAUTHENTICATED]: "the coordinator does not know this certificate: ask an admin for a new context",
};

/** The one place where gRPC's errors become ours: the coordinator's own code, message and remedy where it sent them. */
export function fromGrpcError(error: unknown): EspalierError {
  const { code, details, message, metadata } = error as {
    code?: number;
    details?: string;
    message?: string;
    metadata?: Metadata;
  };
  const name = code === undefined ? "unknown" : (status[code] ?? "unknown").toLowerCase().replaceAll("_", "-");
  const remedy = textOf(metadata, "espalier-remedy-bin") ?? (code === undefined ? undefined : remedies[code]);
  return new EspalierError(textOf(metadata, "espalier-code") ?? `rpc.${name}`, details || message || String(error), {
    cause: error,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

function textOf(metadata: Metadata | undefined, key: string): string | undefined {
  return metadata?.get(key)[0]?.toString();
}
