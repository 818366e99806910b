import type { LayerScales } from "./cache-scales.ts";
import type { CacheElements } from "./lower-attention.ts";
import { graphInput, graphOutput, node, onnxModel, tensor, types } from "./onnx-writer.ts";
import { elementType, float32Buffer, int32Buffer } from "./ort-c-api.ts";
import type { ProbeTensor } from "./probe-session.ts";
import { seededRandom } from "./random.ts";

/** Two query heads share a key and value head; of a size that leaves vectors over. */
const [heads, kvHeads, headSize] = [4, 2, 80];
const width = (heads + 2 * kvHeads) * headSize;
/** Cached positions: more than a thread takes at once. The cache has room for a few more. */
const [held, capacity] = [150, 192];
const past = { key: "past_key_values.0.key", value: "past_key_values.0.value" } as const;
/** By channel, of what is cached: a byte times it is a number that float16 holds exactly. */
const scales = Float32Array.from({ length: kvHeads * headSize }, (_, channel) => (3 + (channel % 4)) / 256);

/** Of a cache of int8. */
export function attentionScales(): LayerScales {
  return { past: past.key, keyScales: scales, valueScales: scales };
}

/** An ONNX model of one attention as the builder's exporter writes it. */
export function attentionModel(): Uint8Array {
  const angles = Float32Array.from({ length: (capacity * headSize) / 2 }, (_, i) => i % 89);
  const table = (name: string, of: (angle: number) => number): Uint8Array =>
    tensor(name, types.float32, [capacity, headSize / 2], new Uint8Array(angles.map(of).buffer));
  const parts = ["key", "value"] as const;
  const cacheShape = [1, kvHeads, capacity, headSize];
  return onnxModel([
    table("cos", Math.cos),
    table("sin", Math.sin),
    node(
      "GroupQueryAttention",
      ["qkv", "", "", past.key, past.value, "last", "total", "cos", "sin"],
      ["attended", "present.key", "present.value"],
      { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: 0 },
      "com.microsoft",
    ),
    graphInput("qkv", types.float32, [1, "T", width]),
    graphInput("last", types.int32, [1]),
    graphInput("total", types.int32, []),
    ...parts.map((part) => graphInput(past[part], types.float32, cacheShape)),
    graphOutput("attended", types.float32, [1, "T", heads * headSize]),
    ...parts.map((part) => graphOutput(`present.${part}`, types.float32, cacheShape)),
  ]);
}

/** Tensors of a run with `tokens` new tokens, behind a cache whose random numbers are the same in each of its kinds. */
export function attentionTensors(tokens: number, cache: CacheElements): ProbeTensor[] {
  const random = seededRandom(tokens);
  const filled = (length: number, of: () => number): Float32Array => float32Buffer(length).map(of);
  const qkv = filled(tokens * width, () => random() * 2 - 1);
  const cached = (["key", "value"] as const).flatMap((part): ProbeTensor[] => {
    const bytes = Int8Array.from({ length: kvHeads * capacity * headSize }, () => random() * 254 - 127);
    const channel = (at: number): number => Math.floor(at / (capacity * headSize)) * headSize + (at % headSize);
    const values = Float32Array.from(bytes, (byte, at) => byte * (scales[channel(at)] ?? Number.NaN));
    const buffers = {
      float32: () => values,
      float16: () => new Uint16Array(Float16Array.from(values).buffer),
      int8: () => bytes,
    };
    const buffer = buffers[cache]();
    const both = { buffer, shape: [1, kvHeads, capacity, headSize], type: elementType[cache] };
    return [
      { way: "BindInput", name: past[part], ...both },
      { way: "BindOutput", name: `present.${part}`, ...both },
    ];
  });
  const integer = (name: string, value: number, shape: readonly number[]): ProbeTensor => {
    const buffer = int32Buffer(1);
    buffer[0] = value;
    return { way: "BindInput", name, buffer, shape, type: elementType.int32 };
  };
  const attended = float32Buffer(tokens * heads * headSize);
  const [float, shape] = [elementType.float32, [1, tokens, heads * headSize]];
  return [
    { way: "BindInput", name: "qkv", buffer: qkv, shape: [1, tokens, width], type: float },
    integer("last", held + tokens - 1, [1]),
    integer("total", held + tokens, []),
    ...cached,
    { way: "BindOutput", name: "attended", buffer: attended, shape, type: float },
  ];
}
