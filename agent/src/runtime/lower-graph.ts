import { elementType } from "./ort-c-api.ts";
import { type WireField, wireField, wireFields } from "./protobuf-wire.ts";

/** Field numbers of onnx.proto, version 1.18. */
const model = { graph: 7, opsetImport: 8 };
const opset = { domain: 1, version: 2 };
const graph = { node: 1, input: 11, output: 12 };
const valueInfo = { name: 1, type: 2 };
const type = { tensor: 1 };
const tensorType = { elements: 1, shape: 2 };
const shape = { dimension: 1 };
const dimension = { size: 1 };
const node = { input: 1, output: 2, operator: 4, attribute: 5, domain: 7 };
const attribute = { name: 1, integer: 3 };

/** Domain of the operators in agent/native. */
const kernelDomain = "espalier";

/** What the cache of keys and values holds. */
export type CacheElements = "float32" | "float16";

export interface LoweredGraph {
  readonly bytes: Uint8Array;
  /** `float16` where our attention has taken over. */
  readonly cache: CacheElements;
}

interface Node {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[];
  readonly integers: ReadonlyMap<string, number>;
  readonly fields: readonly WireField[];
  readonly encoded: Uint8Array;
}

/**
 * An ONNX model in which the agent's own kernels do the work of MatMulNBits: `Linear` takes the same inputs and attributes,
 * and `GatedLinear` takes over the split, the SiLU and the product behind a packed gate and up projection as well; `Normed`
 * before either's name, the addition of the residual and the norm before it. Where they know every GroupQueryAttention, `Attention` takes the same inputs and attributes, but for a cache of half the width. Null
 * when the graph has nothing for them. Weights stay where they are; `bytes` have been checked before.
 */
export function lowerGraph(bytes: Uint8Array): LoweredGraph | null {
  const fields = [...wireFields(bytes)];
  const body = fields.find(({ number }) => number === model.graph)?.value;
  if (!(body instanceof Uint8Array)) return null;
  const parts = [...wireFields(body)];
  const nodes = parts.filter(({ number }) => number === graph.node).map(readNode);
  const products = lowerProducts(nodes, parts);
  const attentions = lowerAttention(nodes, parts);
  const replaced = new Map([...products.replaced, ...attentions.replaced]);
  if (replaced.size === 0) return null;
  const lowered = [
    ...nodes.filter((one) => !products.absorbed.has(one)).map((one) => replaced.get(one) ?? one.encoded),
    ...parts
      .filter(({ number }) => number !== graph.node)
      .map((part) => (isTyped(part) && attentions.caches.has(nameOf(part)) ? withHalves(part) : part.encoded)),
  ];
  return {
    bytes: Buffer.concat([
      ...fields.filter(({ number }) => number !== model.graph).map(({ encoded }) => encoded),
      wireField(model.opsetImport, Buffer.concat([wireField(opset.domain, kernelDomain), wireField(opset.version, 1)])),
      wireField(model.graph, Buffer.concat(lowered)),
    ]),
    cache: attentions.caches.size > 0 ? "float16" : "float32",
  };
}

interface LoweredProducts {
  readonly replaced: ReadonlyMap<Node, Uint8Array>;
  /** Nodes whose work others have taken over. */
  readonly absorbed: ReadonlySet<Node>;
}

function lowerProducts(nodes: readonly Node[], parts: readonly WireField[]): LoweredProducts {
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

interface LoweredAttention {
  readonly replaced: ReadonlyMap<Node, Uint8Array>;
  /** The graph's inputs and outputs that are its caches. */
  readonly caches: ReadonlySet<string>;
}

/**
 * All of them or none: the cache is of one kind. Variants in full precision keep ONNX Runtime's: others are compared with
 * them, and a cache of half the width shows in the fourth digit of their logits.
 */
function lowerAttention(nodes: readonly Node[], parts: readonly WireField[]): LoweredAttention {
  const headSizes = new Map(
    parts.filter(({ number }) => number === graph.input).map((part) => [nameOf(part), lastDimension(part)]),
  );
  const isInFullPrecision = nodes.some(({ operator }) => operator === "com.microsoft:FusedMatMul");
  const attentions = nodes.filter(({ operator }) => operator === "com.microsoft:GroupQueryAttention");
  if (isInFullPrecision || !attentions.every((one) => isKnownAttention(one, headSizes)))
    return { replaced: new Map(), caches: new Set() };
  return {
    replaced: new Map(attentions.map((one) => [one, rewritten(one, "Attention")])),
    caches: new Set(attentions.flatMap(({ inputs, outputs }) => [...inputs.slice(3, 5), ...outputs.slice(1, 3)])),
  };
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

const knownAttributes: ReadonlySet<string> = new Set(["num_heads", "kv_num_heads", "do_rotary", "rotary_interleaved"]);
/** As agent/native/attention_rows.h has them. */
const [mostHeadSize, mostRowElements, mostRows] = [256, 6144, 96];

/** Attention without window, mask or soft cap, halves of heads rotated, and heads of a size that vectors divide. */
function isKnownAttention(
  { inputs, attributes, integers }: Node,
  headSizes: ReadonlyMap<string, number | undefined>,
): boolean {
  const headSize = headSizes.get(inputs[3] ?? "") ?? 0;
  const group = (integers.get("num_heads") ?? 0) / (integers.get("kv_num_heads") ?? 0);
  return (
    inputs.length <= 9 &&
    attributes.every((name) => knownAttributes.has(name)) &&
    (integers.get("rotary_interleaved") ?? 0) === 0 &&
    headSize > 0 &&
    headSize % 16 === 0 &&
    headSize <= mostHeadSize &&
    Number.isInteger(group) &&
    group <= mostRows &&
    group * headSize <= mostRowElements
  );
}

/** Fields of a ValueInfoProto's tensor type. */
function tensorFields(value: WireField["value"]): WireField[] {
  return messagesOf(value, valueInfo.type)
    .flatMap((one) => messagesOf(one, type.tensor))
    .flatMap((one) => [...wireFields(one)]);
}

/** Of a graph's input, where it is fixed. */
function lastDimension({ value }: WireField): number | undefined {
  const dimensions = tensorFields(value)
    .filter(({ number }) => number === tensorType.shape)
    .flatMap((one) => messagesOf(one.value, shape.dimension));
  const sizes = [...wireFields(dimensions.at(-1) ?? new Uint8Array())].filter(
    ({ number }) => number === dimension.size,
  );
  return sizes.flatMap((size) => (typeof size.value === "number" ? [size.value] : [])).at(-1);
}

function isTyped({ number }: WireField): boolean {
  return number === graph.input || number === graph.output;
}

function nameOf({ value }: WireField): string {
  return textsOf(value, valueInfo.name)[0] ?? "";
}

/** A graph's input or output as one of float16. */
function withHalves(part: WireField): Uint8Array {
  const tensor = [
    wireField(tensorType.elements, elementType.float16),
    ...tensorFields(part.value)
      .filter(({ number }) => number !== tensorType.elements)
      .map(({ encoded }) => encoded),
  ];
  const typed = wireField(valueInfo.type, wireField(type.tensor, Buffer.concat(tensor)));
  return wireField(part.number, Buffer.concat([wireField(valueInfo.name, nameOf(part)), typed]));
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

/** The node as one of ours, with other inputs and outputs where they are given, and more attributes. */
function rewritten(
  { fields, inputs, outputs }: Node,
  operator: string,
  changed: { inputs?: readonly string[]; outputs?: readonly string[]; attributes?: readonly Uint8Array[] } = {},
): Uint8Array {
  const replaced = new Set([node.operator, node.domain, node.input, node.output]);
  const content = [
    ...(changed.inputs ?? inputs).map((name) => wireField(node.input, name)),
    ...(changed.outputs ?? outputs).map((name) => wireField(node.output, name)),
    ...fields.filter(({ number }) => !replaced.has(number)).map(({ encoded }) => encoded),
    ...(changed.attributes ?? []),
    wireField(node.operator, operator),
    wireField(node.domain, kernelDomain),
  ];
  return wireField(graph.node, Buffer.concat(content));
}

function readNode({ value, encoded }: WireField): Node {
  const fields = value instanceof Uint8Array ? [...wireFields(value)] : [];
  const last = (wanted: number): string => textsOf(value, wanted).at(-1) ?? "";
  const attributes: string[] = [];
  const integers = new Map<string, number>();
  for (const one of fields) {
    if (one.number !== node.attribute || typeof one.value === "number") continue;
    const name = textsOf(one.value, attribute.name)[0] ?? "";
    attributes.push(name);
    for (const { number, value: integer } of wireFields(one.value))
      if (number === attribute.integer && typeof integer === "number") integers.set(name, integer);
  }
  return {
    operator: `${last(node.domain)}:${last(node.operator)}`,
    inputs: textsOf(value, node.input),
    outputs: textsOf(value, node.output),
    attributes,
    integers,
    fields,
    encoded,
  };
}

function messagesOf(message: WireField["value"], wanted: number): Uint8Array[] {
  if (typeof message === "number") return [];
  return [...wireFields(message)].flatMap(({ number, value }) =>
    number === wanted && typeof value !== "number" ? [value] : [],
  );
}

function textsOf(message: WireField["value"], wanted: number): string[] {
  return messagesOf(message, wanted).map((bytes) => new TextDecoder().decode(bytes));
}
