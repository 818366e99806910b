import { z } from "zod";
import { Digest } from "./digest.ts";
import { Protocol, Quality } from "./quality.ts";
import { VariantShape, WeightFormat } from "./shape.ts";

/** KL(dense || changed) in nats per token, with the half width of its 95 % confidence interval. */
const Damage = z.strictObject({ kl: z.number(), klHalfWidth: z.number().nonnegative() });

/** Result of a profile job: how much quality hangs on each block of a model, one changed at a time, without recovery. */
export const LayerProfile = z.strictObject({
  schemaVersion: z.literal(1),
  modelDigest: Digest,
  protocol: Protocol,
  dense: Quality,
  /** Of the dense model in fp32. */
  shape: VariantShape,
  /** What `quantized` rounds a block's weights to. */
  probeFormat: WeightFormat,
  /** In the order that a token passes them: attention and FFN of layer 0, of layer 1, ... */
  blocks: z.array(
    z.strictObject({
      layer: z.int().nonnegative(),
      part: z.enum(["attention", "ffn"]),
      removed: Damage,
      quantized: Damage,
    }),
  ),
});
export type LayerProfile = z.infer<typeof LayerProfile>;
