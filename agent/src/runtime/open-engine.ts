import { type EspalierError, messageOf } from "@espalier/shared/errors";
import { BindingEngine } from "./binding-engine.ts";
import type { CacheScales } from "./cache-scales.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { FfiEngine } from "./ffi-engine.ts";
import { type KernelLibrary, openKernelLibrary } from "./kernel-library.ts";
import { probeCache, probeKernels } from "./kernel-probe.ts";
import { openOnce } from "./open-once.ts";
import { type OrtApi, openOrtApi } from "./ort-c-api.ts";
import { openOrtLibrary } from "./ort-library.ts";
import type { EngineKind } from "./runtime.ts";
import { runtimeError } from "./runtime-error.ts";

export interface OpenedEngine {
  readonly engine: Engine;
  /** What is slower than it could be, and why: null where the C API and the agent's kernels serve. */
  readonly fallbackReason: string | null;
}

/**
 * Creates the session and proves it by one run. `auto` prefers the C API and falls back to the binding when foreign
 * calls fail, the library is another version than expected, or the cache isn't written in place. The agent's kernels serve
 * where a probe of them succeeds.
 * Throws `runtime.load-failed`.
 */
export async function openEngine(options: EngineOptions, wanted: EngineKind | "auto"): Promise<OpenedEngine> {
  let ffiError: unknown = null;
  if (wanted !== "binding") {
    try {
      return await openFfi(options);
    } catch (error) {
      if (wanted === "ffi") throw loadFailed(options, error);
      ffiError = error;
    }
  }
  try {
    const engine = await BindingEngine.open(options);
    await proveByRunning(engine);
    const fallbackReason = ffiError === null ? null : `the KV cache is copied each step: ${messageOf(ffiError)}`;
    return { engine, fallbackReason };
  } catch (error) {
    throw loadFailed(options, error);
  }
}

const ortApi = openOnce(() => openOrtApi(openOrtLibrary()));

/** With the agent's kernels where they prove themselves, else with ONNX Runtime's own and the reason why. */
async function openFfi(options: EngineOptions): Promise<OpenedEngine> {
  const api = ortApi();
  let reason: string | null = null;
  if (options.kernel !== "stock") {
    try {
      const kernels = openKernelLibrary(options.kernel);
      probeKernels(api, kernels);
      const cache = chooseCache(api, options, kernels);
      const engine = await proven(FfiEngine.open(api, { ...options, cacheScales: cache.scales }, kernels));
      return { engine, fallbackReason: cache.fallbackReason };
    } catch (error) {
      if (options.kernel !== "auto") throw error;
      reason = `the agent's kernels can't be used: ${messageOf(error)}`;
    }
  }
  return { engine: await proven(FfiEngine.open(api, options, null)), fallbackReason: reason };
}

/** The artifact's scales where attention over a cache of int8 proves itself, else none: the cache is of float16 then. */
function chooseCache(
  api: OrtApi,
  { cacheScales, kernel }: EngineOptions,
  kernels: KernelLibrary,
): { scales: CacheScales | null; fallbackReason: string | null } {
  if (cacheScales === null) return { scales: null, fallbackReason: null };
  try {
    probeCache(api, kernels);
    return { scales: cacheScales, fallbackReason: null };
  } catch (error) {
    if (kernel !== "auto") throw error;
    return { scales: null, fallbackReason: `the KV cache can't be of int8: ${messageOf(error)}` };
  }
}

async function proven(engine: FfiEngine): Promise<FfiEngine> {
  try {
    await proveByRunning(engine);
    if (!engine.wroteInPlace()) throw new Error("the KV cache is not written in place");
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

async function proveByRunning(engine: Engine): Promise<void> {
  const whole = { start: 0, capacity: engine.capacity };
  await engine.run(whole, [0, 0], 0, [1]);
  engine.forget(whole);
}

function loadFailed(options: EngineOptions, cause: unknown): EspalierError {
  return runtimeError("runtime.load-failed", `Cannot load ${options.modelFile}: ${messageOf(cause)}`, {
    fields: { modelFile: options.modelFile },
    cause,
  });
}
