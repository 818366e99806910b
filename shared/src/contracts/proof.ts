import { z } from "zod";
import { VariantTiming } from "./profile.ts";

/** What a device measured of a variant before activating it; on failure as far as it got. */
export const Proof = z.strictObject({
  schemaVersion: z.literal(1),
  firstLogitsCosine: z.number().nullable(),
  agreementWithBuilder: z.number().nullable(),
  agreementWithDense: z.number().nullable(),
  positions: z.int().nonnegative(),
  timing: VariantTiming.nullable(),
});
export type Proof = z.infer<typeof Proof>;
