import { z } from "zod";
import { Digest } from "./digest.ts";

/** A path inside a tree: relative, forward slashes, no `.` or `..` segment, no leading dot file. */
export const TreePath = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/, "expected a plain relative path");

/** A run of bytes of a file, stored and fetched by its own digest. Chunks of a file are in file order and gapless. */
export const Chunk = z.strictObject({ digest: Digest, sizeBytes: z.int().positive() });
export type Chunk = z.infer<typeof Chunk>;

/** One file of a tree. `digest` is that of the whole file; a file of 0 bytes has no chunks. */
export const FileEntry = z.strictObject({
  path: TreePath,
  sizeBytes: z.int().nonnegative(),
  digest: Digest,
  chunks: z.array(Chunk).max(65_536),
});
export type FileEntry = z.infer<typeof FileEntry>;

/** Chunks are at most this long; weights are cut at tensor boundaries first (ARCHITECTURE.md, Artifact). */
export const maxChunkBytes = 4 * 1024 * 1024;

/** A set of files as one content-addressed thing: a model, a dataset or a measurement kit. Its digest is `digestOfJson`. */
export const FileTree = z.strictObject({
  schemaVersion: z.literal(1),
  kind: z.enum(["model", "dataset"]),
  name: z.string().min(1).max(200),
  files: z.array(FileEntry).min(1).max(10_000),
});
export type FileTree = z.infer<typeof FileTree>;
