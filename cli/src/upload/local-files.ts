import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { EspalierError } from "@espalier/shared/errors";

/** A file on the operator's machine and its path inside the tree. */
export interface LocalFile {
  source: string;
  path: string;
  sizeBytes: number;
}

const modelFile =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json$|^(tokenizer\.model|merges\.txt|chat_template\.jinja)$|\.safetensors(\.index\.json)?$/;
const textFile = /\.(jsonl|txt)$/;

/**
 * The files of a checkpoint: a folder with safetensors, or one GGUF file. Pickles and code are left where they are.
 * @throws {EspalierError} `model.not-found`, `model.unsupported`
 */
export async function modelFiles(path: string): Promise<LocalFile[]> {
  const found = await look(path, "model.not-found");
  if (found.isFile()) {
    if (!path.endsWith(".gguf")) throw unsupported(path, "a single file must be a .gguf");
    return [{ source: path, path: basename(path), sizeBytes: found.size }];
  }
  const files = await matching(path, modelFile);
  if (files.some((file) => file.path.endsWith(".safetensors"))) return files;
  const ggufs = await matching(path, /\.gguf$/);
  if (ggufs.length === 1) return ggufs;
  throw unsupported(path, ggufs.length > 1 ? "it holds several .gguf files" : "it holds no .safetensors and no .gguf");
}

/**
 * The text files of a dataset: one .jsonl or .txt, or a folder of them.
 * @throws {EspalierError} `dataset.not-found`, `dataset.unsupported`
 */
export async function datasetFiles(path: string): Promise<LocalFile[]> {
  const found = await look(path, "dataset.not-found");
  const files = found.isFile()
    ? [{ source: path, path: basename(path), sizeBytes: found.size }]
    : await matching(path, textFile);
  if (files.length > 0 && files.every((file) => textFile.test(file.path))) return files;
  throw new EspalierError("dataset.unsupported", `${path}: expected .jsonl ({"text": ...} a line) or .txt`, {
    fields: { path },
  });
}

const sliceName = /^[a-z0-9][a-z0-9-]{0,31}$/;

/**
 * Documents of each slice that the lines of .jsonl files name by `"slice"`; empty where none does.
 * @throws {EspalierError} `dataset.invalid` with file and line
 */
export async function countSlices(files: readonly LocalFile[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { source } of files.filter(({ path }) => path.endsWith(".jsonl"))) {
    let number = 0;
    for await (const line of linesOf(source)) {
      number++;
      if (line.trim() === "") continue;
      const name = readSlice(line, `${source}:${number}`);
      if (name !== null) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return counts;
}

/** Lines end at line feeds only: JSON strings may hold U+2028, at which readline would cut. */
async function* linesOf(source: string): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of createReadStream(source, { encoding: "utf8" })) {
    const parts = (rest + piece).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}

function readSlice(line: string, where: string): string | null {
  const invalid = (problem: string, cause?: unknown) =>
    new EspalierError("dataset.invalid", `${where}: ${problem}`, {
      fields: { where },
      remedy: 'a line is {"text": "..."} or {"text": "...", "slice": "code"}',
      cause,
    });
  let parsed: { text?: unknown; slice?: unknown };
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw invalid("is no JSON", cause);
  }
  if (typeof parsed?.text !== "string") throw invalid("has no text");
  const { slice } = parsed;
  if (slice === undefined || slice === null || slice === "") return null;
  if (typeof slice === "string" && sliceName.test(slice)) return slice;
  throw invalid(`slice ${JSON.stringify(slice)} is no name: up to 32 lower-case letters, digits and dashes`);
}

async function look(path: string, code: string) {
  try {
    return await stat(path);
  } catch (cause) {
    throw new EspalierError(code, `${path} does not exist`, { fields: { path }, cause });
  }
}

async function matching(folder: string, pattern: RegExp): Promise<LocalFile[]> {
  const names = (await readdir(folder)).filter((name) => pattern.test(name)).sort();
  return await Promise.all(
    names.map(async (name) => {
      const source = join(folder, name);
      return { source, path: name, sizeBytes: (await stat(source)).size };
    }),
  );
}

function unsupported(path: string, why: string): EspalierError {
  return new EspalierError("model.unsupported", `${path}: ${why}`, {
    fields: { path },
    remedy: "give a folder with config.json, tokenizer.json and .safetensors, or one .gguf file",
  });
}
