import { z } from "zod";
import { Digest } from "./digest.ts";

/** `backup.json`: the first file of a backup, which lists the others. */
export const BackupManifest = z.strictObject({
  schemaVersion: z.literal(1),
  createdAtMs: z.int(),
  /** The epoch of generations at the time; a restore starts a later one. */
  epoch: z.int().nonnegative(),
  devices: z.int().nonnegative(),
  /** The database and the identities, by their path in the coordinator's data folder. */
  files: z.array(z.strictObject({ path: z.string(), sizeBytes: z.int().nonnegative(), digest: Digest })),
  /** Named by their digests, below `blobs/sha256/`. */
  blobs: z.strictObject({ count: z.int().nonnegative(), totalBytes: z.int().nonnegative() }),
});
export type BackupManifest = z.infer<typeof BackupManifest>;

/** What a backup or a restore tells while it runs, a JSON line each; the last is `done`. */
export const BackupEvent = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("progress"), doneBytes: z.int(), totalBytes: z.int() }),
  z.strictObject({
    kind: z.literal("done"),
    /** The backup that was written, or the data folder that was restored. */
    path: z.string(),
    createdAtMs: z.int(),
    epoch: z.int(),
    devices: z.int(),
    blobs: z.int(),
    totalBytes: z.int(),
  }),
]);
export type BackupEvent = z.infer<typeof BackupEvent>;
