import { graphInput, graphOutput, node, onnxModel, tensor, types } from "./onnx-writer.ts";
import { elementType, float32Buffer } from "./ort-c-api.ts";
import type { ProbeTensor } from "./probe-session.ts";
import { seededRandom } from "./random.ts";

/** Sizes that leave a part of a block, of a tile and of a gate's tile over. */
const productColumns = 80;
const rows = 72;
const formats = [
  { bits: 8, block: 32, zeroPoints: false },
  { bits: 4, block: 32, zeroPoints: true },
] as const;

/** The model's outputs and their widths: each format's product, its gate, and the product behind a norm. */
const productOutputs: ReadonlyMap<string, number> = new Map(
  formats.flatMap((_, i) => [
    [`product.${i}`, rows],
    [`gated.${i}`, rows / 2],
    [`behind.norm.${i}`, rows],
    [`sum.${i}`, productColumns],
  ]),
);

/**
 * An ONNX model (onnx.proto, version 1.18) of quantized products as the builder's exporter writes them, with random weights:
 * `x` [T, productColumns] to `productOutputs`.
 */
export function productModel(): Uint8Array {
  const random = seededRandom(1);
  const bytes = (count: number): Uint8Array => Uint8Array.from({ length: count }, () => random() * 256);
  const parts: Uint8Array[] = [];
  for (const [i, { bits, block, zeroPoints }] of formats.entries()) {
    const blocks = Math.ceil(productColumns / block);
    const scales = Float32Array.from({ length: rows * blocks }, () => 0.01 + random() / 100);
    const weight = (part: string, type: number, shape: readonly number[], raw: Uint8Array): string => {
      parts.push(tensor(`${part}.${i}`, type, shape, raw));
      return `${part}.${i}`;
    };
    const data = weight(
      "data",
      types.uint8,
      [rows, blocks, (block * bits) / 8],
      bytes((rows * blocks * block * bits) / 8),
    );
    const scale = weight("scales", types.float32, [rows, blocks], new Uint8Array(scales.buffer));
    const zeroBytes = Math.ceil((blocks * bits) / 8);
    const zeros = zeroPoints ? [weight("zero_points", types.uint8, [rows, zeroBytes], bytes(rows * zeroBytes))] : [];
    const norm = Float32Array.from({ length: productColumns }, () => 0.5 + random());
    const normWeights = weight("norm", types.float32, [productColumns], new Uint8Array(norm.buffer));
    const integers = { K: productColumns, N: rows, bits, block_size: block, accuracy_level: 4 };
    for (const output of [`product.${i}`, `packed.${i}`])
      parts.push(node("MatMulNBits", ["x", data, scale, ...zeros], [output], integers, "com.microsoft"));
    parts.push(
      node("Split", [`packed.${i}`], [`gate.${i}`, `up.${i}`], { axis: 1, num_outputs: 2 }),
      node("Sigmoid", [`gate.${i}`], [`sigmoid.${i}`]),
      node("Mul", [`gate.${i}`, `sigmoid.${i}`], [`silu.${i}`]),
      node("Mul", [`silu.${i}`, `up.${i}`], [`gated.${i}`]),
      node(
        "SkipSimplifiedLayerNormalization",
        ["x", "residual", normWeights],
        [`normed.${i}`, "", "", `sum.${i}`],
        {},
        "com.microsoft",
        { epsilon: 1e-3 },
      ),
      node("MatMulNBits", [`normed.${i}`, data, scale, ...zeros], [`behind.norm.${i}`], integers, "com.microsoft"),
    );
  }
  const outputs = [...productOutputs].map(([name, width]) => graphOutput(name, types.float32, ["T", width]));
  const inputs = ["x", "residual"].map((name) => graphInput(name, types.float32, ["T", productColumns]));
  return onnxModel([...parts, ...inputs, ...outputs]);
}

/** Tensors of a run with `tokens` random rows. */
export function productTensors(tokens: number): ProbeTensor[] {
  const random = seededRandom(tokens);
  const float = (way: ProbeTensor["way"], name: string, width: number): ProbeTensor => ({
    way,
    name,
    buffer: float32Buffer(tokens * width),
    shape: [tokens, width],
    type: elementType.float32,
  });
  const inputs = ["x", "residual"].map((name) => float("BindInput", name, productColumns));
  for (const { buffer } of inputs) for (const i of buffer.keys()) buffer[i] = random() - 0.5;
  return [...inputs, ...[...productOutputs].map(([name, width]) => float("BindOutput", name, width))];
}
