export type RuntimeErrorCode =
  /** Graph or external data is not a plain file inside the artifact's folder. */
  | "unsafe-model-file"
  /** ONNX Runtime could not create the session, or the graph is not of the manifest's shape. */
  | "load-failed"
  /** ONNX Runtime failed in a run. */
  | "runtime-failed"
  /** A request does not fit the KV cache or names tokens outside the vocabulary. */
  | "context-overflow"
  | "invalid-request"
  /** The worker died. */
  | "runtime-crashed"
  | "runtime-closed";

/** An error of the model runtime. `code` is stable; the message names the thing and the remedy. */
export class RuntimeError extends Error {
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RuntimeError";
    this.code = code;
  }
}
