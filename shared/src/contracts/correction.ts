import { z } from "zod";

/** What is corrected of a prediction by what devices measured. */
export const CorrectedQuantity = z.enum(["tpotMs", "ttftMs", "peakMemoryBytes"]);
export type CorrectedQuantity = z.infer<typeof CorrectedQuantity>;

/** How the predictions of one class of hardware are corrected, and from what. */
export const ClassCorrection = z.strictObject({
  /** Processor, cores, threads and CPU quota; no memory or disk, so that a looser budget is corrected alike. */
  hardwareClass: z.string(),
  quantities: z
    .array(
      z.strictObject({
        quantity: CorrectedQuantity,
        /** Predictions are multiplied by it. */
        factor: z.number().positive(),
        /** Median of measured over predicted without correction. */
        medianRatio: z.number().positive(),
        /** That measured, each with its last rollout. */
        devices: z.int().positive(),
        /** Whether the factor would have been further from 1 without the bounds. */
        bounded: z.boolean(),
      }),
    )
    .min(1),
});
export type ClassCorrection = z.infer<typeof ClassCorrection>;
