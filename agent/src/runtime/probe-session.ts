import type { KernelLibrary } from "./kernel-library.ts";
import { errorLogLevel, type NativeBuffer, type OrtApi } from "./ort-c-api.ts";

/** A tensor that a run reads or writes; memory may be both. */
export interface ProbeTensor {
  readonly way: "BindInput" | "BindOutput";
  readonly name: string;
  readonly buffer: Exclude<NativeBuffer, BigInt64Array | BigUint64Array>;
  readonly shape: readonly number[];
  /** As ONNX Runtime numbers element types. */
  readonly type: number;
}

/** Runs a model once for each list of its tensors, with kernels or with ONNX Runtime's own. Throws what ONNX Runtime reports. */
export function runModel(
  api: OrtApi,
  model: Uint8Array,
  kernels: KernelLibrary | null,
  runs: readonly (readonly ProbeTensor[])[],
): void {
  const releases: (() => void)[] = [];
  const created = (release: Parameters<OrtApi["release"]>[0], handle: bigint): bigint => {
    releases.push(() => api.release(release, handle));
    return handle;
  };
  try {
    const env = created("ReleaseEnv", api.create("CreateEnv", errorLogLevel, "espalier"));
    const options = created("ReleaseSessionOptions", api.create("CreateSessionOptions"));
    const memory = created("ReleaseMemoryInfo", api.create("CreateCpuMemoryInfo", 0, 0));
    api.call("SetIntraOpNumThreads", options, 1);
    kernels?.register(api, options);
    const session = created(
      "ReleaseSession",
      api.create("CreateSessionFromArray", env, model, model.byteLength, options),
    );
    for (const tensors of runs) {
      const binding = created("ReleaseIoBinding", api.create("CreateIoBinding", session));
      for (const { way, name, buffer, shape, type } of tensors) {
        const dimensions = BigInt64Array.from(shape.length === 0 ? [1n] : shape.map(BigInt));
        const bytes = buffer.byteLength;
        const value = created(
          "ReleaseValue",
          api.create("CreateTensorWithDataAsOrtValue", memory, buffer, bytes, dimensions, shape.length, type),
        );
        api.call(way, binding, name, value);
      }
      api.call("RunWithBinding", session, null, binding);
    }
  } finally {
    for (const release of releases.reverse()) release();
  }
}
