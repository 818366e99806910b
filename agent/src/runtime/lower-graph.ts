import { type WireField, wireField, wireFields } from "./protobuf-wire.ts";

/** Field numbers of onnx.proto, version 1.18. */
const model = { graph: 7, opsetImport: 8 };
const opset = { domain: 1, version: 2 };
const graph = { node: 1, output: 12 };
const valueInfo = { name: 1 };
const node = { input: 1, output: 2, operator: 4, attribute: 5, domain: 7 };
const attribute = { name: 1, integer: 3 };

/** Domain of the operators in agent/native. */
const kernelDomain = "espalier";

interface Node {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly integers: ReadonlyMap<string, number>;
  readonly fields: readonly WireField[];
  readonly encoded: Uint8Array;
}

/**
 * An ONNX model in which the agent's own kernels do the work of MatMulNBits: `Linear` takes the same inputs and attributes,
 * and `GatedLinear` takes over the split, the SiLU and the product behind a packed gate and up projection as well. Null when
 * the graph has nothing for them. Weights stay where they are; `bytes` have been checked before.
 */
export function lowerGraph(bytes: Uint8Array): Uint8Array | null {
  const fields = [...wireFields(bytes)];
  const body = fields.find(({ number }) => number === model.graph)?.value;
  if (!(body instanceof Uint8Array)) return null;
  const lowered = lowerNodes([...wireFields(body)]);
  if (lowered === null) return null;
  return Buffer.concat([
    ...fields.filter(({ number }) => number !== model.graph).map(({ encoded }) => encoded),
    wireField(model.opsetImport, Buffer.concat([wireField(opset.domain, kernelDomain), wireField(opset.version, 1)])),
    wireField(model.graph, lowered),
  ]);
}

function lowerNodes(fields: readonly WireField[]): Uint8Array | null {
  const nodes = fields.filter(({ number }) => number === graph.node).map(readNode);
  const uses = new Map<string, Node[]>();
  for (const one of nodes) for (const input of one.inputs) uses.set(input, [...(uses.get(input) ?? []), one]);
  const outputs = new Set(
    fields.filter(({ number }) => number === graph.output).map(({ value }) => textsOf(value, valueInfo.name)[0] ?? ""),
  );
  const usesOf = (value: string): readonly Node[] => (outputs.has(value) ? [] : (uses.get(value) ?? []));
  const absorbed = new Set<Node>();
  const replaced = new Map<Node, Uint8Array>();
  for (const one of nodes.filter(isForKernels)) {
    const gate = gateBehind(one, usesOf);
    for (const other of gate?.nodes ?? []) absorbed.add(other);
    replaced.set(one, gate === null ? rewritten(one, "Linear") : rewritten(one, "GatedLinear", gate.output));
  }
  if (replaced.size === 0) return null;
  return Buffer.concat([
    ...nodes
      .filter((one) => !absorbed.has(one))
      .map((one) => {
        const content = replaced.get(one);
        return content === undefined ? one.encoded : wireField(graph.node, content);
      }),
    ...fields.filter(({ number }) => number !== graph.node).map(({ encoded }) => encoded),
  ]);
}

/** The kernels round activations to 8 bits, which is what accuracy level 4 asks for, and know two widths of weights. */
function isForKernels({ operator, inputs, integers }: Node): boolean {
  const [bits, block] = [integers.get("bits"), integers.get("block_size") ?? 0];
  return (
    operator === "com.microsoft:MatMulNBits" &&
    inputs.length <= 4 &&
    integers.get("accuracy_level") === 4 &&
    (bits === 4 || bits === 8) &&
    block >= 16 &&
    block % 16 === 0
  );
}

/** `Split -> gate, up; gate * Sigmoid(gate) * up` behind a product that nothing else uses: its nodes and its result. */
function gateBehind(
  product: Node,
  usesOf: (value: string) => readonly Node[],
): { nodes: readonly Node[]; output: string } | null {
  const [split, ...others] = usesOf(product.outputs[0] ?? "");
  if (split?.operator !== ":Split" || split.inputs.length !== 1 || split.outputs.length !== 2 || others.length > 0) {
    return null;
  }
  const [gate = "", up = ""] = split.outputs;
  const sigmoid = usesOf(gate).find(({ operator }) => operator === ":Sigmoid");
  const silu = usesOf(gate).find(({ operator }) => operator === ":Mul");
  const result = usesOf(up).find(({ operator }) => operator === ":Mul");
  if (sigmoid === undefined || silu === undefined || result === undefined) return null;
  const multiplies = (one: Node, a: string | undefined, b: string | undefined): boolean =>
    one.inputs.length === 2 && one.inputs.includes(a ?? "") && one.inputs.includes(b ?? "");
  const isGate =
    usesOf(gate).length === 2 &&
    usesOf(up).length === 1 &&
    usesOf(sigmoid.outputs[0] ?? "").length === 1 &&
    usesOf(silu.outputs[0] ?? "").length === 1 &&
    multiplies(silu, gate, sigmoid.outputs[0]) &&
    multiplies(result, silu.outputs[0], up);
  return isGate ? { nodes: [split, sigmoid, silu, result], output: result.outputs[0] ?? "" } : null;
}

function rewritten({ fields }: Node, operator: string, output?: string): Uint8Array {
  const dropped = new Set([node.operator, node.domain, ...(output === undefined ? [] : [node.output])]);
  return Buffer.concat([
    ...fields.filter(({ number }) => !dropped.has(number)).map(({ encoded }) => encoded),
    ...(output === undefined ? [] : [wireField(node.output, output)]),
    wireField(node.operator, operator),
    wireField(node.domain, kernelDomain),
  ]);
}

function readNode({ value, encoded }: WireField): Node {
  const fields = value instanceof Uint8Array ? [...wireFields(value)] : [];
  const last = (wanted: number): string => textsOf(value, wanted).at(-1) ?? "";
  const integers = new Map<string, number>();
  for (const one of fields) {
    if (one.number !== node.attribute || typeof one.value === "number") continue;
    for (const { number, value: integer } of wireFields(one.value))
      if (number === attribute.integer && typeof integer === "number")
        integers.set(textsOf(one.value, attribute.name)[0] ?? "", integer);
  }
  return {
    operator: `${last(node.domain)}:${last(node.operator)}`,
    inputs: textsOf(value, node.input),
    outputs: textsOf(value, node.output),
    integers,
    fields,
    encoded,
  };
}

function textsOf(message: number | Uint8Array, wanted: number): string[] {
  if (typeof message === "number") return [];
  return [...wireFields(message)].flatMap(({ number, value }) =>
    number === wanted && typeof value !== "number" ? [new TextDecoder().decode(value)] : [],
  );
}
