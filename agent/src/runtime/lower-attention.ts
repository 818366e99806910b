import type { CacheScales } from "./cache-scales.ts";
import {
  dimension,
  graph,
  messagesOf,
  type Node,
  nameOf,
  rewritten,
  shape,
  tensorType,
  type,
  valueInfo,
} from "./graph-nodes.ts";
import { tensor, types } from "./onnx-writer.ts";
import { elementType } from "./ort-c-api.ts";
import { type WireField, wireField, wireFields } from "./protobuf-wire.ts";

/** What the cache of keys and values holds. */
export type CacheElements = "float32" | "float16" | "int8";

export interface LoweredAttention {
  readonly replaced: ReadonlyMap<Node, Uint8Array>;
  /** `float32` where nothing was replaced. */
  readonly cache: CacheElements;
  /** The graph's inputs and outputs that are its caches, with their new type, and scales as initializers. */
  readonly parts: ReadonlyMap<WireField, Uint8Array>;
  readonly added: readonly Uint8Array[];
}

const kept: LoweredAttention = { replaced: new Map(), cache: "float32", parts: new Map(), added: [] };

/**
 * GroupQueryAttention by `Attention`, over a cache of float16, or with `scales` by `Int8Attention`. All of them or none: the
 * cache is of one kind. Variants in full precision keep ONNX Runtime's: others are compared with them, and a cache of half
 * the width shows in the fourth digit of their logits.
 */
export function lowerAttention(
  nodes: readonly Node[],
  parts: readonly WireField[],
  scales: CacheScales | null,
): LoweredAttention {
  const headSizes = new Map(
    parts.filter(({ number }) => number === graph.input).map((part) => [nameOf(part), lastDimension(part)]),
  );
  const isInFullPrecision = nodes.some(({ operator }) => operator === "com.microsoft:FusedMatMul");
  const attentions = nodes.filter(({ operator }) => operator === "com.microsoft:GroupQueryAttention");
  const isKnown = attentions.length > 0 && attentions.every((one) => isKnownAttention(one, headSizes));
  if (isInFullPrecision || !isKnown) return kept;
  const caches = new Set(attentions.flatMap(({ inputs, outputs }) => [...inputs.slice(3, 5), ...outputs.slice(1, 3)]));
  const cache = scales === null ? "float16" : "int8";
  const cacheParts = parts.filter((part) => isTyped(part) && caches.has(nameOf(part)));
  const lowered = attentions.map((one) => [one, scales === null ? null : scaledInputs(one, scales)] as const);
  return {
    replaced: new Map(
      lowered.map(([one, scaled]) => [
        one,
        scaled === null ? rewritten(one, "Attention") : rewritten(one, "Int8Attention", { inputs: scaled.inputs }),
      ]),
    ),
    cache,
    parts: new Map(cacheParts.map((part) => [part, withElements(part, elementType[cache])])),
    added: lowered.flatMap(([, scaled]) => scaled?.initializers ?? []),
  };
}

/** An attention's inputs with its layer's scales behind them. */
function scaledInputs(
  { inputs }: Node,
  scales: CacheScales,
): { inputs: readonly string[]; initializers: readonly Uint8Array[] } {
  const [pastKey = ""] = inputs.slice(3, 4);
  const layer = scales.find(({ past }) => past === pastKey);
  if (layer === undefined) throw new Error(`there are no scales for ${pastKey}`);
  const named = Object.entries({ keyScales: layer.keyScales, valueScales: layer.valueScales }).map(
    ([part, values]) => ({ name: `espalier.${pastKey}.${part}`, values }),
  );
  return {
    inputs: [...inputs, ...Array<string>(mostInputs - inputs.length).fill(""), ...named.map(({ name }) => name)],
    initializers: named.map(({ name, values }) =>
      tensor(name, types.float32, [values.length], new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
    ),
  };
}

const knownAttributes: ReadonlySet<string> = new Set(["num_heads", "kv_num_heads", "do_rotary", "rotary_interleaved"]);
/** As agent/native/attention_rows.h has them. */
const mostInputs = 9;
const [mostHeadSize, mostRowElements, mostRows] = [256, 6144, 96];

/** Attention without window, mask or soft cap, halves of heads rotated, and heads of a size that vectors divide. */
function isKnownAttention(
  { inputs, attributes, integers }: Node,
  headSizes: ReadonlyMap<string, number | undefined>,
): boolean {
  const headSize = headSizes.get(inputs[3] ?? "") ?? 0;
  const group = (integers.get("num_heads") ?? 0) / (integers.get("kv_num_heads") ?? 0);
  return (
    inputs.length <= mostInputs &&
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

/** A graph's input or output as one of these elements. */
function withElements(part: WireField, elements: number): Uint8Array {
  const tensor = [
    wireField(tensorType.elements, elements),
    ...tensorFields(part.value)
      .filter(({ number }) => number !== tensorType.elements)
      .map(({ encoded }) => encoded),
  ];
  const typed = wireField(valueInfo.type, wireField(type.tensor, Buffer.concat(tensor)));
  return wireField(part.number, Buffer.concat([wireField(valueInfo.name, nameOf(part)), typed]));
}
