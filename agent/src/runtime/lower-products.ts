import { graph, type Node, nameOf, node, rewritten } from "./graph-nodes.ts";
import type { WireField } from "./protobuf-wire.ts";

export interface LoweredProducts {
  readonly replaced: ReadonlyMap<Node, Uint8Array>;
  /** Nodes whose work others have taken over. */
  readonly absorbed: ReadonlySet<Node>;
}

/** MatMulNBits by `Linear`, with the gate behind a packed gate and up projection and the norm before either where they are. */
export function lowerProducts(nodes: readonly Node[], parts: readonly WireField[]): LoweredProducts {
  const uses = new Map<string, Node[]>();
  for (const one of nodes) for (const input of one.inputs) uses.set(input, [...(uses.get(input) ?? []), one]);
  const outputs = new Set(parts.filter(({ number }) => number === graph.output).map(nameOf));
  const usesOf = (value: string): readonly Node[] => (outputs.has(value) ? [] : (uses.get(value) ?? []));
  const absorbed = new Set<Node>();
  const replaced = new Map<Node, Uint8Array>();
  for (const one of nodes.filter(isForKernels)) {
    const gate = gateBehind(one, usesOf);
    const norm = normBefore(one, nodes, usesOf);
    for (const other of gate?.nodes ?? []) absorbed.add(other);
    if (norm !== null) absorbed.add(norm);
    const operator = gate === null ? "Linear" : "GatedLinear";
    const output = gate?.output ?? one.outputs[0] ?? "";
    replaced.set(
      one,
      norm === null ? rewritten(one, operator, { outputs: [output] }) : withNorm(one, norm, operator, output),
    );
  }
  return { replaced, absorbed };
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

/** `normed, , , sum = SkipSimplifiedLayerNormalization(x, residual, weights)` whose normed result is the product's alone. */
function normBefore(product: Node, nodes: readonly Node[], usesOf: (value: string) => readonly Node[]): Node | null {
  const [normed = ""] = product.inputs;
  const norm = nodes.find(({ outputs }) => outputs[0] === normed);
  if (norm?.operator !== "com.microsoft:SkipSimplifiedLayerNormalization" || norm.inputs.length !== 3) return null;
  const [, mean, inverse, sum] = norm.outputs;
  const isOurs = usesOf(normed).length === 1 && !mean && !inverse && Boolean(sum);
  return isOurs && norm.attributes.every((name) => name === "epsilon") ? norm : null;
}

function withNorm(product: Node, norm: Node, operator: string, output: string): Uint8Array {
  const [x = "", residual = "", weights = ""] = norm.inputs;
  const [, data = "", scales = "", ...zeroPoints] = product.inputs;
  return rewritten(product, `Normed${operator}`, {
    inputs: [x, data, scales, residual, weights, ...zeroPoints],
    outputs: [output, norm.outputs[3] ?? ""],
    attributes: norm.fields.filter(({ number }) => number === node.attribute).map(({ encoded }) => encoded),
  });
}
