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
    await engine.run([0, 0], 0, [1]);
    return { engine, fallbackReason: ffiError === null ? null : messageOf(ffiError) };
  } catch (error) {
    throw loadFailed(options, error);
  }
}

async function openFfi(options: EngineOptions): Promise<Engine> {
  const engine = FfiEngine.open(openOrtApi(openOrtLibrary()), options);
  try {
    await engine.run([0, 0], 0, [1]);
    if (!engine.wroteInPlace()) throw new Error("the KV cache is not written in place");
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function loadFailed(options: EngineOptions, cause: unknown): EspalierError {
  return runtimeError("runtime.load-failed", `Cannot load ${options.modelFile}: ${messageOf(cause)}`, {
    fields: { modelFile: options.modelFile },
    cause,
  });
}
