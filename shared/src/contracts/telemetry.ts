import { z } from "zod";
import { Digest } from "./digest.ts";

/** Cumulative since `startedAtMs`: a lost or repeated snapshot changes nothing. `counts[i]` are observations at most `boundsSeconds[i]`; the last count is of all. */
export const HistogramSnapshot = z.strictObject({
  counts: z.array(z.int().nonnegative()),
  sumSeconds: z.number().nonnegative(),
});
export type HistogramSnapshot = z.infer<typeof HistogramSnapshot>;

/** Bucket bounds in seconds, the same on every device so that they add up. */
export const ttftBoundsSeconds = [0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6] as const;
export const tpotBoundsSeconds = [
  0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.016, 0.02, 0.025, 0.032, 0.04, 0.05, 0.075, 0.1, 0.2, 0.4, 0.8,
] as const;

/** What may slow the machine down; `unknown` and null where it can't be told. */
export const MachineState = z.strictObject({
  powerSource: z.enum(["mains", "battery", "unknown"]),
  thermalCelsius: z.number().nullable(),
  /** Processors run slower than they could, to stay cool. */
  throttled: z.boolean().nullable(),
  /** How often processors were slowed down for heat since the machine started. */
  throttles: z.int().nonnegative().nullable(),
});
export type MachineState = z.infer<typeof MachineState>;

/** What a device tells about serving its active variant. Time per output token is a request's mean after its first token. */
export const TelemetrySnapshot = z.strictObject({
  schemaVersion: z.literal(1),
  deviceId: z.string(),
  startedAtMs: z.int(),
  atMs: z.int(),
  variant: z.strictObject({ artifactDigest: Digest, name: z.string() }).nullable(),
  timeToFirstToken: HistogramSnapshot,
  timePerOutputToken: HistogramSnapshot,
  requests: z.strictObject({
    succeeded: z.int().nonnegative(),
    failed: z.int().nonnegative(),
    cancelled: z.int().nonnegative(),
  }),
  promptTokens: z.int().nonnegative(),
  completionTokens: z.int().nonnegative(),
  memory: z.strictObject({ residentBytes: z.int().nonnegative(), peakBytes: z.int().nonnegative() }),
  /** As the variant's proof measured it; null where the device has no counter. */
  joulesPerToken: z.number().nonnegative().nullable().default(null),
  machine: MachineState.nullable().default(null),
  /** From the last probe run of the active variant. */
  probe: z.strictObject({ agreementWithDense: z.number(), agreementWithBuilder: z.number(), atMs: z.int() }).nullable(),
});
export type TelemetrySnapshot = z.infer<typeof TelemetrySnapshot>;
