import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { countSlices, datasetFiles, modelFiles } from "./local-files.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-files-"));
});
after(() => rm(folder, { recursive: true }));

async function folderWith(name: string, files: string[]): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  for (const file of files) await writeFile(join(path, file), file);
  return path;
}

test("a checkpoint's pickles and code stay where they are", async () => {
  const path = await folderWith("checkpoint", [
    ...["config.json", "tokenizer.json", "model.safetensors"],
    ...["pytorch_model.bin", "modeling_custom.py", "optimizer.pt"],
  ]);
  const files = await modelFiles(path);
  assert.deepEqual(
    files.map((file) => file.path),
    ["config.json", "model.safetensors", "tokenizer.json"],
  );
});

test("a folder with one GGUF file is that file", async () => {
  const path = await folderWith("gguf", ["model.gguf", "README.md"]);
  assert.deepEqual(
    (await modelFiles(path)).map((file) => file.path),
    ["model.gguf"],
  );
});

test("a folder with pickles only is refused with the remedy", async () => {
  const path = await folderWith("pickles", ["config.json", "pytorch_model.bin"]);
  await assert.rejects(modelFiles(path), { code: "model.unsupported", remedy: /safetensors/ });
});

test("a missing path is told from an unsupported one", async () => {
  await assert.rejects(modelFiles(join(folder, "nowhere")), { code: "model.not-found" });
  await assert.rejects(datasetFiles(join(folder, "nowhere")), { code: "dataset.not-found" });
});

test("a dataset folder gives its text files only", async () => {
  const path = await folderWith("text", ["train.jsonl", "valid.jsonl", "LICENSE"]);
  assert.deepEqual(
    (await datasetFiles(path)).map((file) => file.path),
    ["train.jsonl", "valid.jsonl"],
  );
});

test("slices are counted before anything is sent, and a line that is none is named", async () => {
  const write = async (name: string, lines: unknown[]) => {
    const path = join(folder, name);
    await writeFile(path, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
    return datasetFiles(path);
  };
  const good = [
    { text: "a", slice: "code" },
    "",
    { text: "b" },
    { text: "c\u2028d", slice: "code" },
    { text: "e", slice: "chat" },
  ];
  assert.deepEqual(
    await countSlices(await write("good.jsonl", good)),
    new Map([
      ["code", 2],
      ["chat", 1],
    ]),
  );
  for (const [line, problem] of [
    ["{", /bad.jsonl:2: is no JSON/],
    [{ slice: "code" }, /bad.jsonl:2: has no text/],
    [{ text: "a", slice: "No Name" }, /bad.jsonl:2: slice "No Name" is no name/],
  ] as const) {
    const files = await write("bad.jsonl", [{ text: "a" }, line]);
    await assert.rejects(countSlices(files), (error: Error) => problem.test(error.message));
  }
});
