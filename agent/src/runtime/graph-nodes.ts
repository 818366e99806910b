import { type WireField, wireField, wireFields } from "./protobuf-wire.ts";

/** Field numbers of onnx.proto, version 1.18. */
export const model = { graph: 7, opsetImport: 8 };
export const opset = { domain: 1, version: 2 };
export const graph = { node: 1, input: 11, output: 12 };
export const valueInfo = { name: 1, type: 2 };
export const type = { tensor: 1 };
export const tensorType = { elements: 1, shape: 2 };
export const shape = { dimension: 1 };
export const dimension = { size: 1 };
export const node = { input: 1, output: 2, operator: 4, attribute: 5, domain: 7 };
const attribute = { name: 1, integer: 3 };

/** Domain of the operators in agent/native. */
export const kernelDomain = "espalier";

/** A node of a graph. `operator` is `DOMAIN:TYPE`, the domain of ONNX's own being empty. */
export interface Node {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[];
  readonly integers: ReadonlyMap<string, number>;
  readonly fields: readonly WireField[];
  readonly encoded: Uint8Array;
}

/** The node as one of ours, with other inputs and outputs where they are given, and more attributes. */
export function rewritten(
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

export function readNode({ value, encoded }: WireField): Node {
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

/** Messages in the fields of this number. */
export function messagesOf(message: WireField["value"], wanted: number): Uint8Array[] {
  if (typeof message === "number") return [];
  return [...wireFields(message)].flatMap(({ number, value }) =>
    number === wanted && typeof value !== "number" ? [value] : [],
  );
}

function textsOf(message: WireField["value"], wanted: number): string[] {
  return messagesOf(message, wanted).map((bytes) => new TextDecoder().decode(bytes));
}
/** Of a graph's input or output. */
export function nameOf({ value }: WireField): string {
  return textsOf(value, valueInfo.name)[0] ?? "";
}
