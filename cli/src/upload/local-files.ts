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
