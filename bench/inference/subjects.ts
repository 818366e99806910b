import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { GraphContract } from "@espalier/shared/contracts/manifest";
import { z } from "zod";

export const levels = ["dense", "pruned 20 %", "pruned 40 %", "0.5B"] as const;
/** A larger shape with random weights: it has a speed, and no quality. */
export const randomLevel = "0.5B" satisfies (typeof levels)[number];

/** One thing that is timed: a model's level in a format, run by an engine. */
const Subject = z.object({
  name: z.string(),
  engine: z.enum(["espalier", "espalier, stock kernels", "llama.cpp", "ik_llama.cpp", "openvino"]),
  level: z.enum(levels),
  bits: z.union([z.literal(4), z.literal(8), z.literal(32)]),
  /** Folder of a graph, or a GGUF file; below the folder of `subjects.json`. */
  path: z.string(),
  /** Read for each token. */
  weightBytes: z.int(),
  /** Null where the weights are random. */
  perplexity: z.number().nullable(),
  graph: GraphContract.optional(),
});
export type Subject = z.infer<typeof Subject>;

/** Formats that are timed on ONNX Runtime's own kernels too. */
const compared: ReadonlySet<string> = new Set(["q8b128", "q4b128a"]);

/**
 * What `builder/bench/inference_subjects.py` wrote into a folder, with full paths; and the same files in other hands: a format of
 * ours on ONNX Runtime's own kernels, llama.cpp's on ik_llama.cpp.
 */
export async function readSubjects(folder: string): Promise<Subject[]> {
  const entries: unknown = JSON.parse(await readFile(join(folder, "subjects.json"), "utf8"));
  const subjects = Object.values(z.record(z.string(), Subject).parse(entries));
  return subjects
    .map((subject) => ({ ...subject, path: join(folder, subject.path) }))
    .flatMap((subject): Subject[] => {
      if (subject.level.startsWith("pruned") || subject.bits === 32) return [subject];
      if (subject.engine === "llama.cpp") {
        return [subject, { ...subject, name: subject.name.replace(/^(m-)?/, "$1ik-"), engine: "ik_llama.cpp" }];
      }
      return compared.has(subject.name)
        ? [subject, { ...subject, name: `${subject.name}-stock`, engine: "espalier, stock kernels" }]
        : [subject];
    });
}

/** Tokens of the evaluation text. */
export async function readText(folder: string): Promise<number[]> {
  return z.array(z.int()).parse(JSON.parse(await readFile(join(folder, "text.json"), "utf8")));
}
