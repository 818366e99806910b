import type { KernelLibrary } from "./kernel-library.ts";
import { lowerGraph } from "./lower-graph.ts";
import { elementType, errorLogLevel, float32Buffer, type OrtApi, type Pointer } from "./ort-c-api.ts";
import { probeColumns, probeModel, probeOutputs } from "./probe-model.ts";
import { seededRandom } from "./random.ts";

/** One token as at decode, and more than a kernel takes at once as at prefill. */
const runs = [1, 7];
/**
 * Of the largest value. ONNX Runtime rounds activations as we do on x86, to one scale per row on some ARM processors; a
 * kernel that reads its weights wrongly is off by the values themselves.
 */
const tolerance = 0.03;

/**
 * Compares a kernel with ONNX Runtime's own on small random matrices of each format, with and without a gate. Throws where
 * they differ: a compiler's or a processor's fault must not become a variant's.
 */
export function probeKernels(api: OrtApi, kernels: KernelLibrary): void {
  const stock = probeModel();
  const lowered = lowerGraph(stock);
  if (lowered === null) throw new Error("the probe's graph has nothing for the kernels");
  const env = api.create("CreateEnv", errorLogLevel, "espalier");
  try {
    compare(runModel(api, env, stock, null), runModel(api, env, lowered, kernels), kernels.kernel);
  } finally {
    api.release("ReleaseEnv", env);
  }
}

function compare(expected: readonly Float32Array[], actual: readonly Float32Array[], kernel: string): void {
  for (const [i, values] of expected.entries()) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const off = values.reduce(
      (most, value, at) => Math.max(most, Math.abs(value - (actual[i]?.[at] ?? Number.NaN))),
      0,
    );
    if (!(off <= tolerance * largest))
      throw new Error(`${kernel} is off by ${off.toPrecision(2)} of ${largest.toPrecision(2)}`);
  }
}

/** All outputs of all runs. */
function runModel(api: OrtApi, env: Pointer, model: Uint8Array, kernels: KernelLibrary | null): Float32Array[] {
  const options = api.create("CreateSessionOptions");
  const memory = api.create("CreateCpuMemoryInfo", 0, 0);
  const releases = [
    () => api.release("ReleaseSessionOptions", options),
    () => api.release("ReleaseMemoryInfo", memory),
  ];
  try {
    api.call("SetIntraOpNumThreads", options, 1);
    kernels?.register(api, options);
    const session = api.create("CreateSessionFromArray", env, model, model.byteLength, options);
    releases.push(() => api.release("ReleaseSession", session));
    return runs.flatMap((tokens) => {
      const binding = api.create("CreateIoBinding", session);
      releases.push(() => api.release("ReleaseIoBinding", binding));
      const bind = (way: "BindInput" | "BindOutput", name: string, buffer: Float32Array, width: number): void => {
        const shape = BigInt64Array.of(BigInt(tokens), BigInt(width));
        const value = api.create(
          "CreateTensorWithDataAsOrtValue",
          memory,
          buffer,
          buffer.byteLength,
          shape,
          2,
          elementType.float32,
        );
        releases.push(() => api.release("ReleaseValue", value));
        api.call(way, binding, name, value);
      };
      const random = seededRandom(tokens);
      const input = float32Buffer(tokens * probeColumns);
      for (const i of input.keys()) input[i] = random() - 0.5;
      bind("BindInput", "x", input, probeColumns);
      const results = [...probeOutputs].map(([name, width]) => {
        const result = float32Buffer(tokens * width);
        bind("BindOutput", name, result, width);
        return result;
      });
      api.call("RunWithBinding", session, null, binding);
      return results;
    });
  } finally {
    for (const release of releases.reverse()) release();
  }
}
