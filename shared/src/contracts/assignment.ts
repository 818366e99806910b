import { z } from "zod";
import { Digest } from "./digest.ts";

/** Orders assignments of one device. A database restored from backup starts a new epoch. */
export const Generation = z.strictObject({ epoch: z.int().nonnegative(), n: z.int().positive() });
export type Generation = z.infer<typeof Generation>;

/** Negative when `a` is older than `b`. */
export function compareGenerations(a: Generation, b: Generation): number {
  return a.epoch - b.epoch || a.n - b.n;
}

/** The variant a device shall run. Lives in the KV bucket `assignments` under the device id; the latest wins. */
export const Assignment = z.strictObject({
  schemaVersion: z.literal(1),
  deviceId: z.string(),
  generation: Generation,
  rolloutId: z.string().nullable(),
  /** Null: serve nothing. */
  variant: z
    .strictObject({
      artifactDigest: Digest,
      name: z.string(),
      modelName: z.string(),
      manifestBytes: z.int().positive(),
      /** Of all files, without the manifest itself (Manifest.totalBytes). */
      totalBytes: z.int().positive(),
      /** Lengths at which the device times the variant in its proof, so that gates compare like with like. */
      timing: z.strictObject({
        promptTokens: z.int().positive(),
        outputTokens: z.int().positive(),
        /** What a gate will hold the times against: the device makes requests until they tell (shared/src/limit-test.ts). */
        ttftP90Ms: z.number().positive().optional(),
        tpotP90Ms: z.number().positive().optional(),
      }),
    })
    .nullable(),
  issuedAtMs: z.int(),
});
export type Assignment = z.infer<typeof Assignment>;
