import { wireFields } from "./protobuf-wire.ts";

/** What of an ONNX file tells whether it may be loaded. */
export interface OnnxSummary {
  /** Version by domain; the standard operators' domain is "". */
  readonly opsets: ReadonlyMap<string, number>;
  /** `domain:operator` of every node; the standard operators have no domain. */
  readonly operators: ReadonlySet<string>;
  readonly nodes: number;
  readonly externalData: readonly ExternalData[];
  /** Things that no decoder of ours has: subgraphs, functions, training graphs, sparse tensors. */
  readonly strange: readonly string[];
}

export interface ExternalData {
  readonly tensor: string;
  readonly location: string;
  readonly offset: number;
  /** Null reaches to the file's end. */
  readonly length: number | null;
}

/** Field numbers of onnx.proto, version 1.18. */
const model = { graph: 7, opsetImport: 8, trainingInfo: 20, functions: 25 };
const opset = { domain: 1, version: 2 };
const graph = { node: 1, initializer: 5, sparseInitializer: 15 };
const node = { opType: 4, attribute: 5, domain: 7 };
const attribute = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparseTensor: 22, sparseTensors: 23 };
const tensor = { name: 8, externalData: 13 };
const entry = { key: 1, value: 2 };

/** Reads an ONNX model without its weights. Throws for bytes that are no protobuf. */
export function summarizeOnnx(bytes: Uint8Array): OnnxSummary {
  const opsets = new Map<string, number>();
  const operators = new Set<string>();
  const externalData: ExternalData[] = [];
  const strange: string[] = [];
  let nodes = 0;
  const readNode = (message: Uint8Array): void => {
    nodes += 1;
    operators.add(`${textOf(message, node.domain)}:${textOf(message, node.opType)}`);
    for (const one of messagesOf(message, node.attribute)) {
      for (const { number, value } of wireFields(one)) {
        if (number === attribute.graph || number === attribute.graphs) strange.push("a subgraph");
        if (number === attribute.sparseTensor || number === attribute.sparseTensors) strange.push("a sparse tensor");
        if ((number === attribute.tensor || number === attribute.tensors) && typeof value !== "number")
          externalData.push(...externalDataOf(value));
      }
    }
  };
  for (const { number, value } of wireFields(bytes)) {
    if (typeof value === "number") continue;
    if (number === model.opsetImport) opsets.set(textOf(value, opset.domain), numberOf(value, opset.version));
    if (number === model.functions) strange.push("a function");
    if (number === model.trainingInfo) strange.push("a training graph");
    if (number !== model.graph) continue;
    for (const field of wireFields(value)) {
      if (typeof field.value === "number") continue;
      if (field.number === graph.node) readNode(field.value);
      if (field.number === graph.initializer) externalData.push(...externalDataOf(field.value));
      if (field.number === graph.sparseInitializer) strange.push("a sparse tensor");
    }
  }
  return { opsets, operators, nodes, externalData, strange };
}

function externalDataOf(message: Uint8Array): ExternalData[] {
  const entries = new Map(
    messagesOf(message, tensor.externalData).map((pair) => [textOf(pair, entry.key), textOf(pair, entry.value)]),
  );
  if (entries.size === 0) return [];
  const length = entries.get("length");
  return [
    {
      tensor: textOf(message, tensor.name),
      location: entries.get("location") ?? "",
      offset: Number(entries.get("offset") ?? 0),
      length: length === undefined ? null : Number(length),
    },
  ];
}

function messagesOf(message: Uint8Array, wanted: number): Uint8Array[] {
  return [...wireFields(message)].flatMap(({ number, value }) =>
    number === wanted && typeof value !== "number" ? [value] : [],
  );
}

/** The last one counts, as protobuf has it. */
function textOf(message: Uint8Array, wanted: number): string {
  const last = messagesOf(message, wanted).at(-1);
  return last === undefined ? "" : new TextDecoder().decode(last);
}

function numberOf(message: Uint8Array, wanted: number): number {
  let last = 0;
  for (const { number, value } of wireFields(message)) if (number === wanted && typeof value === "number") last = value;
  return last;
}
