import type { EngineOptions } from "./engine.ts";
import type { EngineKind, GeneratedToken, GenerateRequest } from "./runtime.ts";

/** What the worker is to load. */
export interface WorkerSetup {
  readonly engineOptions: EngineOptions;
  readonly wanted: EngineKind | "auto";
  /** [1]: the worker counts its turns here, so that the main thread sees it get on without a message. */
  readonly progress: Int32Array;
}

/** One method of `Runtime` with its arguments. */
export type Call =
  | { readonly method: "generate"; readonly request: GenerateRequest }
  | { readonly method: "logitsAt"; readonly tokens: readonly number[]; readonly indices: readonly number[] }
  | { readonly method: "topTokens"; readonly tokens: readonly number[] };

/** A worker has one model at a time: `load`, calls, `unload`, `load`. */
export type ToWorker =
  | { readonly kind: "load"; readonly setup: WorkerSetup }
  /** `cancelFlag` [1]: the main thread stores 1 to cancel; the worker reads it between runs without leaving its loop. */
  | { readonly kind: "call"; readonly id: number; readonly cancelFlag: Int32Array; readonly call: Call }
  | { readonly kind: "unload" };

export type CallResult = Float32Array | Int32Array;

export type FromWorker =
  | {
      readonly kind: "ready";
      readonly engine: EngineKind;
      readonly kernel: string | null;
      readonly loadMs: number;
      readonly cacheElementBytes: number;
      readonly fallbackReason: string | null;
    }
  | { readonly kind: "load-failed"; readonly message: string }
  /** All memory of the model is free; nothing more comes of its calls. */
  | { readonly kind: "unloaded" }
  | { readonly kind: "token"; readonly id: number; readonly token: GeneratedToken }
  /** The call's end; null for `generate`, whose tokens came before. */
  | { readonly kind: "result"; readonly id: number; readonly result: CallResult | null }
  /** `code` of an `EspalierError`; null for any other. */
  | { readonly kind: "failed"; readonly id: number; readonly code: string | null; readonly message: string }
  | { readonly kind: "cancelled"; readonly id: number };
