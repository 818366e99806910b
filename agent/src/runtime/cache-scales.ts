import { readFile } from "node:fs/promises";
import { artifactFiles, type GraphContract, KvCacheScales } from "@espalier/shared/contracts/manifest";
import { messageOf } from "@espalier/shared/errors";
import { safeModelFile } from "./model-files.ts";
import { runtimeError } from "./runtime-error.ts";

/** A layer's scales, of its heads one after another [kvHeads * headSize]: a cached number is a byte's times its channel's. */
export interface LayerScales {
  /** The graph's input that is the layer's cache of keys. */
  readonly past: string;
  readonly keyScales: Float32Array;
  readonly valueScales: Float32Array;
}

/** By layer. */
export type CacheScales = readonly LayerScales[];

/** Reads `kv-cache.json` of an artifact. Throws `runtime.unsafe-file`, and `runtime.load-failed` where it isn't the graph's. */
export async function readCacheScales(folder: string, graph: GraphContract): Promise<CacheScales> {
  const file = artifactFiles.kvCache;
  const text = await readFile(await safeModelFile(folder, file), "utf8");
  try {
    const { layers } = KvCacheScales.parse(JSON.parse(text));
    if (layers.length !== graph.layers.length)
      throw new Error(`it has ${layers.length} layers, the graph ${graph.layers.length}`);
    return graph.layers.map(({ kvHeads, headSize }, layer) => {
      const flat = (part: "keyScales" | "valueScales"): Float32Array => {
        const heads = layers[layer]?.[part] ?? [];
        if (heads.length !== kvHeads || heads.some((head) => head.length !== headSize))
          throw new Error(`${part} of layer ${layer} are not of ${kvHeads} heads of ${headSize}`);
        const scales = Float32Array.from(heads.flat());
        // Of what JSON holds, floats can't hold all.
        if (!scales.every((scale) => scale > 0 && Number.isFinite(scale)))
          throw new Error(`${part} of layer ${layer} are not all positive and finite`);
        return scales;
      };
      const past = `past_key_values.${layer}.key`;
      return { past, keyScales: flat("keyScales"), valueScales: flat("valueScales") };
    });
  } catch (error) {
    throw runtimeError("runtime.load-failed", `Cannot use ${file}: ${messageOf(error)}`, {
      fields: { file },
      remedy: "Build the variant again.",
      cause: error,
    });
  }
}
