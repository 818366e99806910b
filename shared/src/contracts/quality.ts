import { z } from "zod";
import { Digest } from "./digest.ts";

/** How quality figures were taken; kept beside each number, since perplexities compare only at equal protocol. */
export const Protocol = z.strictObject({
  datasetDigest: Digest.nullable(),
  /** `self-sampled`: no text was given, so the dense model wrote it. */
  datasetOrigin: z.enum(["given", "self-sampled"]),
  sequenceLength: z.int().positive(),
  windows: z.int().positive(),
  tokens: z.int().positive(),
  engine: z.enum(["pytorch", "onnxruntime"]),
  engineVersion: z.string(),
});
export type Protocol = z.infer<typeof Protocol>;

/** Quality against text and against the dense model (fp32, PyTorch) on the same tokens. KL in nats per token, KL(dense || this). */
export const Quality = z.strictObject({
  perplexity: z.number().positive(),
  bitsPerByte: z.number().nonnegative(),
  /** Share of positions whose most likely token is the dense model's. */
  agreement: z.number().min(0).max(1),
  kl: z.number(),
  /** Half width of the 95 % confidence interval of `kl` (windows as samples). */
  klHalfWidth: z.number().nonnegative(),
});
export type Quality = z.infer<typeof Quality>;
