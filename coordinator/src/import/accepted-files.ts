import { TreePath } from "@espalier/shared/contracts/files";
import { EspalierError } from "@espalier/shared/errors";

export type TreeKind = "model" | "dataset";

/**
 * What may be imported, by name. A list of what is allowed, not of what isn't: pickles (.bin, .pt, .pth, .ckpt, .pkl)
 * and code run when they are loaded, and nobody can list every such ending.
 */
const accepted: Readonly<Record<TreeKind, RegExp>> = {
  model: /\.(safetensors|gguf|json|txt|jinja)$|(^|\/)tokenizer\.model$/,
  dataset: /\.(jsonl|txt)$/,
};

const expected: Readonly<Record<TreeKind, string>> = {
  model: "safetensors or GGUF weights, JSON, tokenizer.model, .txt or .jinja",
  dataset: ".jsonl or .txt",
};

/** @throws {EspalierError} `import.refused` */
export function requireAccepted(kind: TreeKind, path: string): void {
  if (TreePath.safeParse(path).success && accepted[kind].test(path)) return;
  throw new EspalierError("import.refused", `"${path.slice(0, 200)}" can't be part of a ${kind}`, {
    fields: { kind, path: path.slice(0, 200) },
    remedy: `a ${kind} holds ${expected[kind]}; convert pickled weights to safetensors first`,
  });
}

/** A safetensors header longer than this is no header. */
const maxHeaderBytes = 100 * 1024 * 1024;

/**
 * Whether a weights file begins as its ending says, so that a renamed pickle is refused here.
 * @param start the first bytes of the file, at least 9 where it is that long
 * @throws {EspalierError} `import.refused`
 */
export function requireHonestStart(path: string, start: Buffer): void {
  const isHonest = path.endsWith(".gguf")
    ? start.subarray(0, 4).toString("latin1") === "GGUF"
    : !path.endsWith(".safetensors") || isSafetensors(start);
  if (isHonest) return;
  throw new EspalierError("import.refused", `${path} isn't what its name says`, {
    fields: { path },
    remedy: "send real safetensors or GGUF files",
  });
}

/** 8 bytes of header length (little endian), then a JSON object. */
function isSafetensors(start: Buffer): boolean {
  return start.length >= 9 && start.readBigUInt64LE(0) <= maxHeaderBytes && start[8] === "{".charCodeAt(0);
}
