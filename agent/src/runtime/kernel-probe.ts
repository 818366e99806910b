import { attentionModel, attentionScales, attentionTensors } from "./attention-probe.ts";
import type { CacheScales } from "./cache-scales.ts";
import type { KernelLibrary } from "./kernel-library.ts";
import type { CacheElements } from "./lower-attention.ts";
import { lowerGraph } from "./lower-graph.ts";
import type { OrtApi } from "./ort-c-api.ts";
import { type ProbeTensor, runModel } from "./probe-session.ts";
import { productModel, productTensors } from "./product-probe.ts";

/** What is compared: a model with ONNX Runtime's own operators, and the tensors of its runs. */
interface Probe {
  readonly model: Uint8Array;
  readonly runs: (cache: CacheElements) => (readonly ProbeTensor[])[];
  readonly scales: CacheScales | null;
  /** Of an output's largest value. */
  readonly tolerance: number;
}

/**
 * Each with one token as at decode, and with more than a kernel takes at once as at prefill.
 *
 * ONNX Runtime rounds a product's activations as we do on x86, to one scale per row on some ARM processors; our cache rounds
 * keys and values to 11 bits. A kernel that reads its inputs wrongly is off by the values themselves.
 */
const productProbe: Probe = {
  model: productModel(),
  runs: () => [1, 7].map(productTensors),
  scales: null,
  tolerance: 0.03,
};
const attentionProbe: Probe = {
  model: attentionModel(),
  runs: (cache) => [1, 9].map((tokens) => attentionTensors(tokens, cache)),
  scales: null,
  tolerance: 0.005,
};
/** What the cache holds is equal; only new keys and values are rounded to a byte. */
const cacheProbe: Probe = { ...attentionProbe, scales: [attentionScales()], tolerance: 0.02 };

/**
 * Compares a kernel with ONNX Runtime's own on small random inputs: products of each format, with and without a gate, and
 * attention. Throws where they differ: a compiler's or a processor's fault must not become a variant's.
 */
export function probeKernels(api: OrtApi, kernels: KernelLibrary): void {
  for (const probe of [productProbe, attentionProbe]) run(api, kernels, probe);
}

/** The same of attention over a cache of int8. */
export function probeCache(api: OrtApi, kernels: KernelLibrary): void {
  run(api, kernels, cacheProbe);
}

function run(api: OrtApi, kernels: KernelLibrary, { model, runs, scales, tolerance }: Probe): void {
  const lowered = lowerGraph(model, scales);
  if (lowered === null) throw new Error("a probe's graph has nothing for the kernels");
  const [expected, actual] = [runs("float32"), runs(lowered.cache)];
  runModel(api, model, null, expected);
  runModel(api, lowered.bytes, kernels, actual);
  for (const [i, tensors] of expected.entries()) compare(tensors, actual[i] ?? [], tolerance, kernels.kernel);
}

function compare(
  expected: readonly ProbeTensor[],
  actual: readonly ProbeTensor[],
  tolerance: number,
  kernel: string,
): void {
  for (const { way, name, buffer } of expected) {
    const other = actual.find((tensor) => tensor.way === way && tensor.name === name)?.buffer;
    // What is held of the cache shows in what is attended to.
    if (way === "BindInput" || name.startsWith("present")) continue;
    const largest = Array.from(buffer).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const off = Array.from(buffer).reduce(
      (most, value, at) => Math.max(most, Math.abs(value - (other?.[at] ?? Number.NaN))),
      0,
    );
    if (!(off <= tolerance * largest))
      throw new Error(`${kernel} is off by ${off.toPrecision(2)} of ${largest.toPrecision(2)} in ${name}`);
  }
}
