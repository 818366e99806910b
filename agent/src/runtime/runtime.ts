import type { GraphContract, Manifest } from "@espalier/shared/contracts/manifest";
import type { EspalierError } from "@espalier/shared/errors";
import type { GuideRequest } from "../grammar/token-guide.ts";
import type { TokenLogprobs } from "./log-probabilities.ts";
import type { RuntimeWorkers } from "./runtime-workers.ts";
import type { Sampling } from "./sampling.ts";

/** Which way the graph is run: the C API with the cache in place, or the Node binding, which copies the cache each step. */
export type EngineKind = "ffi" | "binding";

export interface GenerateRequest {
  /** The prompt, at least one token. `tokens.length + maxTokens` must not exceed the runtime's `contextTokens`. */
  readonly tokens: readonly number[];
  /** Upper bound on generated tokens, at least 1. */
  readonly maxTokens: number;
  readonly sampling: Sampling;
  /** Generation ends with the first of these; it is still yielded, with `finish: "stop"`. */
  readonly stopTokenIds: readonly number[];
  /** Log probabilities of each token and of this many most likely ones; without it there are none. */
  readonly logprobs?: number | undefined;
  /**
   * Starts behind what an earlier request computed for the same beginning, and may be interrupted for an older one and
   * go on later. Kernels for one token and for many round differently, so without it, and only then, equal requests give
   * equal tokens to the last bit.
   */
  readonly reusePrefix?: boolean;
  /** What the answer must be; one that ends by a stop token is complete. */
  readonly guide?: GuideRequest | undefined;
}

/** One generated token. The last one carries why generation ended. */
export interface GeneratedToken {
  readonly tokenId: number;
  readonly finish: "stop" | "length" | null;
  /** Where the request asks for them. */
  readonly logprobs?: TokenLogprobs;
  /** With the first token: leading tokens of the prompt that were not computed anew. */
  readonly reusedTokens?: number;
}

/**
 * A loaded variant. Calls take turns at it, each with a part of the one KV cache; one that finds no room waits until
 * older ones have ended.
 * All methods reject with an `EspalierError` whose code is a `RuntimeErrorCode`: `runtime.closed` after `close()`,
 * `runtime.crashed` when the worker died, `runtime.context-overflow` or `runtime.invalid-request` when a request does
 * not fit, `runtime.run-failed` when ONNX Runtime reports an error; or is the guide's `grammar.ambiguous` or
 * `grammar.unspeakable`. Aborting a signal rejects with its reason.
 */
export interface Runtime {
  readonly engine: EngineKind;
  /** Name of the agent's kernel that multiplies with quantized weights; null where ONNX Runtime's own does. */
  readonly kernel: string | null;
  /** From the start of loading to the end of the first (warm-up) run. */
  readonly loadMs: number;
  /** Bytes of one number in the KV cache. */
  readonly cacheElementBytes: number;
  /** Capacity of the KV cache: prompt and answer together. */
  readonly contextTokens: number;
  readonly vocabularySize: number;
  /** Resolves should its thread die or hang; never after `close()`. */
  readonly crashed: Promise<EspalierError>;
  /** Tokens as they are chosen. Leaving the loop early cancels. */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GeneratedToken>;
  /** Logits of the last position after a prefill of `tokens`, at the vocabulary `indices`. Shape [indices.length]. */
  logitsAt(tokens: readonly number[], indices: readonly number[], signal?: AbortSignal): Promise<Float32Array>;
  /** The most likely token after each prefix `tokens[0..i]` (teacher-forced). Shape [tokens.length]. */
  topTokens(tokens: readonly number[], signal?: AbortSignal): Promise<Int32Array>;
  /** Rejects what is pending, frees the model and gives the worker back. Calling it again does nothing. */
  close(): Promise<void>;
}

export interface RuntimeOptions {
  /** The artifact's folder. Graph and external data must be plain files inside it. */
  readonly folder: string;
  readonly graph: GraphContract;
  /** External data the graph refers to, relative to `folder`. Default `<graph file>.data`. */
  readonly dataFiles?: readonly string[];
  /** Intra-operator threads. */
  readonly threads: number;
  /** Wanted capacity of the KV cache; at most the graph's `contextLength`. */
  readonly contextTokens: number;
  /**
   * ONNX Runtime's idle threads spin instead of sleeping: about 1.2x faster on cores of one's own, slower on shared ones.
   * Those of the agent's kernels are awake within a run either way. Default false.
   */
  readonly spinning?: boolean;
  /** Default `auto`: the C API where its probe succeeds, else the binding with a warning. */
  readonly engine?: EngineKind | "auto";
  /**
   * What multiplies with quantized weights. Default `auto`: the fastest of the agent's kernels (agent/native) that this
   * processor runs and that agrees with ONNX Runtime's own, which serves where none does. `stock`: always the latter. Else
   * the kernel of this name.
   */
  readonly kernel?: string;
  /**
   * `int8`: the folder has `kv-cache.json`, scales for a cache of a quarter of fp32's size. The agent's kernels use them, and
   * keep one of float16 without; where ONNX Runtime attends, the cache is of fp32 all the same.
   */
  readonly kvCache?: Manifest["kvCache"];
  /** Where its thread comes from and goes to. Default: a new one, that ends with the model. */
  readonly workers?: RuntimeWorkers;
  readonly log: RuntimeLog;
}

/** The part of a pino logger that the runtime uses. */
export interface RuntimeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
