import type { CacheScales } from "./cache-scales.ts";
import { graph, kernelDomain, model, opset, readNode } from "./graph-nodes.ts";
import { type CacheElements, lowerAttention } from "./lower-attention.ts";
import { lowerProducts } from "./lower-products.ts";
import { wireField, wireFields } from "./protobuf-wire.ts";

export interface LoweredGraph {
  readonly bytes: Uint8Array;
  /** `float32` where our attention hasn't taken over. */
  readonly cache: CacheElements;
  /** All that takes time is the agent's own. */
  readonly isWhole: boolean;
}

/** ONNX Runtime's operators that take time on more than a few numbers a token. */
const heavyOperators = /:(MatMul|Gemm|Conv|FusedMatMul|MatMulNBits|GroupQueryAttention|MultiHeadAttention)$/;

/**
 * An ONNX model in which the agent's own kernels do the work of MatMulNBits: `Linear` takes the same inputs and attributes,
 * and `GatedLinear` takes over the split, the SiLU and the product behind a packed gate and up projection as well; `Normed`
 * before either's name, the addition of the residual and the norm before it. Where they know every GroupQueryAttention,
 * `Attention` takes the same inputs and attributes, but for a cache of half the width, or with `scales` of a quarter. Null
 * when the graph has nothing for them. Weights stay where they are; `bytes` have been checked before.
 */
export function lowerGraph(bytes: Uint8Array, scales: CacheScales | null): LoweredGraph | null {
  const fields = [...wireFields(bytes)];
  const body = fields.find(({ number }) => number === model.graph)?.value;
  if (!(body instanceof Uint8Array)) return null;
  const parts = [...wireFields(body)];
  const nodes = parts.filter(({ number }) => number === graph.node).map(readNode);
  const products = lowerProducts(nodes, parts);
  const attentions = lowerAttention(nodes, parts, scales);
  const replaced = new Map([...products.replaced, ...attentions.replaced]);
  if (replaced.size === 0) return null;
  const lowered = [
    ...nodes.filter((one) => !products.absorbed.has(one)).map((one) => replaced.get(one) ?? one.encoded),
    ...parts.filter(({ number }) => number !== graph.node).map((part) => attentions.parts.get(part) ?? part.encoded),
    ...attentions.added,
  ];
  return {
    bytes: Buffer.concat([
      ...fields.filter(({ number }) => number !== model.graph).map(({ encoded }) => encoded),
      wireField(model.opsetImport, Buffer.concat([wireField(opset.domain, kernelDomain), wireField(opset.version, 1)])),
      wireField(model.graph, Buffer.concat(lowered)),
    ]),
    cache: attentions.cache,
    isWhole: nodes.every((one) => replaced.has(one) || !heavyOperators.test(one.operator)),
  };
}
