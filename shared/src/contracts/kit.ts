import { z } from "zod";
import { Digest } from "./digest.ts";
import { FileEntry, TreePath } from "./files.ts";
import { GraphContract, TensorEntry } from "./manifest.ts";
import { VariantShape, WeightFormat } from "./shape.ts";

/**
 * A measurement kit: whole small decoders (embedding, blocks, head) made by the builder's exporter for one model's
 * shape. Weights aren't shipped: the device fills each external data file by `tensors` (uint8 with random bytes,
 * float32 with `floatFill`). Graphs of one format differ in depth or FFN size, so that slopes give the cost of a
 * layer and of an FFN column, and the intercept the fixed cost.
 */
export const Kit = z.strictObject({
  schemaVersion: z.literal(1),
  kind: z.literal("kit"),
  modelDigest: Digest,
  floatFill: z.number(),
  graphs: z
    .array(
      z.strictObject({
        /** `<formatKey>/d<depth>f<ffnSize>` */
        id: z.string(),
        format: WeightFormat,
        depth: z.int().positive(),
        ffnSize: z.int().positive(),
        shape: VariantShape,
        graph: GraphContract,
        weightsFile: TreePath,
        weightsBytes: z.int().positive(),
        tensors: z.array(TensorEntry),
      }),
    )
    .min(1),
  files: z.array(FileEntry),
});
export type Kit = z.infer<typeof Kit>;
export type KitGraph = Kit["graphs"][number];
