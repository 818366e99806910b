import { type EspalierError, messageOf } from "@espalier/shared/errors";
import { BindingEngine } from "./binding-engine.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { FfiEngine } from "./ffi-engine.ts";
import { openOrtApi } from "./ort-c-api.ts";
import { openOrtLibrary } from "./ort-library.ts";
import type { EngineKind } from "./runtime.ts";
import { runtimeError } from "./runtime-error.ts";

export interface OpenedEngine {
  readonly engine: Engine;
  /** Why the C API could not be used, where the binding serves in its place. */
  readonly fallbackReason: string | null;
}

/**
 * Creates the session and proves it by one run. `auto` prefers the C API and falls back to the binding when foreign
 * calls fail, the library is another version than expected, or the cache isn't written in place.
 * Throws `runtime.load-failed`.
 */
export async function openEngine(options: EngineOptions, wanted: EngineKind | "auto"): Promise<OpenedEngine> {
  let ffiError: unknown = null;
  if (wanted !== "binding") {
    try {
      return { engine: await openFfi(options), fallbackReason: null };
    } catch (error) {
      if (wanted === "ffi") throw loadFailed(options, error);
      ffiError = error;
    }
  }
  try {
    const engine = await BindingEngine.open(options);
    await proveByRunning(engine);
    return { engine, fallbackReason: ffiError === null ? null : messageOf(ffiError) };
  } catch (error) {
    throw loadFailed(options, error);
  }
}

async function openFfi(options: EngineOptions): Promise<FfiEngine> {
  const engine = FfiEngine.open(openOrtApi(openOrtLibrary()), options);
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
