import { basename } from "node:path";
import type { ListModelsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListModelsResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { StoredTree__Output } from "@espalier/shared/generated/espalier/v1/StoredTree";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { type Listing, renderList } from "../output/print.ts";
import { ago, bytes, shortDigest } from "../output/quantities.ts";
import { withClient } from "../session.ts";
import { importTree } from "../upload/import-tree.ts";
import { datasetFiles, modelFiles } from "../upload/local-files.ts";

const listing: Listing<StoredTree__Output> = {
  name: (tree) => tree.name,
  columns: [
    { title: "NAME", cell: (tree) => tree.name },
    { title: "DIGEST", cell: (tree) => shortDigest(tree.digest) },
    { title: "SIZE", cell: (tree) => bytes(tree.sizeBytes) },
    { title: "IMPORTED", cell: (tree) => ago(tree.importedAtMs, Date.now()) },
  ],
};

/** Imports a checkpoint under a name; importing the same bytes again changes nothing. */
export async function importModel(client: OperatorClient, path: string, name: string) {
  return importTree((done) => client.importModel(done), name, await modelFiles(path));
}

/** Imports calibration or evaluation text. */
export async function importDataset(client: OperatorClient, path: string, name: string) {
  return importTree((done) => client.importDataset(done), name, await datasetFiles(path));
}

/** `model import|list` and `dataset import|list`: the same two commands over trees of two kinds. */
export function importCommands(program: Command): void {
  const kinds = [
    {
      kind: "model",
      what: "base models: a folder of safetensors with config and tokenizer, or one GGUF file",
      run: importModel,
    },
    {
      kind: "dataset",
      what: 'text for calibration and evaluation: .jsonl with {"text"} a line, or .txt',
      run: importDataset,
    },
  ];
  for (const { kind, what, run } of kinds) {
    const group = program.command(kind).description(what);
    group
      .command("import <path>")
      .description(`import a ${kind}; prints its digest`)
      .option("--name <name>", "name to refer to it by (default: the file's or folder's)")
      .action(async (path: string, options: { name?: string }, command) => {
        await withClient(command, async (client, { output }) => {
          const tree = await run(client, path, options.name ?? basename(path));
          process.stdout.write(output === "json" ? `${JSON.stringify(tree, null, 2)}\n` : `${tree.digest}\n`);
        });
      });
    group
      .command("list")
      .description(`imported ${kind}s`)
      .action(async (_options, command) => {
        await withClient(command, async (client, { output }) => {
          const { trees } = await unary<ListModelsResponse__Output>((done) => client.listModels({}, done));
          process.stdout.write(
            renderList(
              trees.filter((tree) => tree.kind === kind),
              listing,
              output,
            ),
          );
        });
      });
  }
}
