import { EspalierError } from "@espalier/shared/errors";

export type RuntimeErrorCode =
  /** Graph or external data is not a plain file inside the artifact's folder. */
  | "runtime.unsafe-file"
  /** The graph has operators, versions, sizes or weights that no variant has. */
  | "runtime.unsafe-graph"
  /** ONNX Runtime could not create the session, or the graph is not of the manifest's shape. */
  | "runtime.load-failed"
  /** ONNX Runtime failed in a run. */
  | "runtime.run-failed"
  /** A request does not fit the KV cache. */
  | "runtime.context-overflow"
  /** A request names no token, a token outside the vocabulary, or a count below 1. */
  | "runtime.invalid-request"
  /** The worker died. */
  | "runtime.crashed"
  | "runtime.closed";

/** An `EspalierError` with one of the runtime's codes. */
export function runtimeError(
  code: RuntimeErrorCode,
  message: string,
  options: { fields?: Record<string, string | number>; remedy?: string; cause?: unknown } = {},
): EspalierError {
  return new EspalierError(code, message, options);
}
