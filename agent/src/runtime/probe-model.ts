import { wireField } from "./protobuf-wire.ts";
import { seededRandom } from "./random.ts";

/** Sizes that leave a part of a block, of a tile and of a gate's tile over. */
export const probeColumns = 80;
const rows = 72;
const formats = [
  { bits: 8, block: 32, zeroPoints: false },
  { bits: 4, block: 32, zeroPoints: true },
] as const;

/** The model's outputs and their widths: each format's product, and its gate. */
export const probeOutputs: ReadonlyMap<string, number> = new Map(
  formats.flatMap((_, i) => [
    [`product.${i}`, rows],
    [`gated.${i}`, rows / 2],
  ]),
);

/** Element types of ONNX. */
const types = { float32: 1, uint8: 2 };
const integerAttribute = 2;

/**
 * An ONNX model (onnx.proto, version 1.18) of quantized products as the builder's exporter writes them, with random weights:
 * `x` [T, probeColumns] to `probeOutputs`.
 */
export function probeModel(): Uint8Array {
  const random = seededRandom(1);
  const bytes = (count: number): Uint8Array => Uint8Array.from({ length: count }, () => random() * 256);
  const parts: Uint8Array[] = [];
  for (const [i, { bits, block, zeroPoints }] of formats.entries()) {
    const blocks = Math.ceil(probeColumns / block);
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
    const integers = { K: probeColumns, N: rows, bits, block_size: block, accuracy_level: 4 };
    for (const output of [`product.${i}`, `packed.${i}`])
      parts.push(node("MatMulNBits", ["x", data, scale, ...zeros], [output], integers, "com.microsoft"));
    parts.push(
      node("Split", [`packed.${i}`], [`gate.${i}`, `up.${i}`], { axis: 1, num_outputs: 2 }),
      node("Sigmoid", [`gate.${i}`], [`sigmoid.${i}`]),
      node("Mul", [`gate.${i}`, `sigmoid.${i}`], [`silu.${i}`]),
      node("Mul", [`silu.${i}`, `up.${i}`], [`gated.${i}`]),
    );
  }
  const outputs = [...probeOutputs].map(([name, width]) => wireField(12, value(name, width)));
  const graph = Buffer.concat([...parts, wireField(2, "probe"), wireField(11, value("x", probeColumns)), ...outputs]);
  const opset = (domain: string, version: number): Uint8Array =>
    wireField(8, Buffer.concat([wireField(1, domain), wireField(2, version)]));
  return Buffer.concat([wireField(1, 10), opset("", 21), opset("com.microsoft", 1), wireField(7, graph)]);
}

/** A GraphProto's `node`. */
function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  integers: Readonly<Record<string, number>> = {},
  domain = "",
): Uint8Array {
  const attributes = Object.entries(integers).map(([name, integer]) =>
    wireField(5, Buffer.concat([wireField(1, name), wireField(3, integer), wireField(20, integerAttribute)])),
  );
  const names = [...inputs.map((name) => wireField(1, name)), ...outputs.map((name) => wireField(2, name))];
  return wireField(1, Buffer.concat([...names, wireField(4, operator), ...attributes, wireField(7, domain)]));
}

/** A GraphProto's `initializer`. */
function tensor(name: string, type: number, shape: readonly number[], raw: Uint8Array): Uint8Array {
  const dimensions = shape.map((size) => wireField(1, size));
  return wireField(5, Buffer.concat([...dimensions, wireField(2, type), wireField(8, name), wireField(9, raw)]));
}

/** A ValueInfoProto: floats [T, width]. */
function value(name: string, width: number): Uint8Array {
  const shape = Buffer.concat([wireField(1, wireField(2, "T")), wireField(1, wireField(1, width))]);
  const type = wireField(1, Buffer.concat([wireField(1, types.float32), wireField(2, shape)]));
  return Buffer.concat([wireField(1, name), wireField(2, type)]);
}
