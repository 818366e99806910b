import { basename } from "node:path";
import type { ImportResponse__Output } from "@espalier/shared/generated/espalier/v1/ImportResponse";
import type { ListModelsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListModelsResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { StoredTree__Output } from "@espalier/shared/generated/espalier/v1/StoredTree";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import type { Listing, Showing } from "../output/print.ts";
import { bytes, shortDigest, time } from "../output/quantities.ts";
import { showOne } from "../session.ts";
import { importTree } from "../upload/import-tree.ts";
import { countSlices, datasetFiles, modelFiles } from "../upload/local-files.ts";
import { addList } from "./list-command.ts";
import { profileCommand } from "./model-profile.ts";
import { searchCommand } from "./model-search.ts";

const listing: Listing<StoredTree__Output> = {
  name: (tree) => tree.name,
  columns: [
    { title: "NAME", cell: (tree) => tree.name },
    { title: "DIGEST", cell: (tree) => shortDigest(tree.digest) },
    { title: "SIZE", cell: (tree) => bytes(tree.sizeBytes) },
    { title: "IMPORTED", cell: (tree) => time(tree.importedAtMs, false) },
    { title: "FULL DIGEST", cell: (tree) => tree.digest, wide: true },
  ],
};

const imported: Showing<ImportResponse__Output> = {
  name: ({ name }) => name,
  text: ({ digest }) => `${digest}\n`,
};

/** Imports a checkpoint under a name; importing the same bytes again changes nothing. */
export async function importModel(client: OperatorClient, path: string, name: string) {
  return importTree((done) => client.importModel(done), name, await modelFiles(path));
}

/** Imports calibration or evaluation text; tells which slices its lines name. */
export async function importDataset(client: OperatorClient, path: string, name: string) {
  const files = await datasetFiles(path);
  const slices = [...(await countSlices(files))].map(([slice, documents]) => `${slice} (${documents})`);
  if (slices.length > 0) process.stderr.write(`slices, by documents: ${slices.join(", ")}\n`);
  return importTree((done) => client.importDataset(done), name, files);
}

/** `model import|list` and `dataset import|list`: the same two commands over trees of two kinds. */
export function importCommands(program: Command): void {
  const kinds = [
    {
      kind: "model",
      what: "base models: a folder of safetensors with config and tokenizer, or one GGUF file",
      run: importModel,
      example: "smol",
      examples: [
        ["espalier model import ./SmolLM2-135M-Instruct --name smol", "a folder of safetensors"],
        ["espalier model import ./model-Q8_0.gguf --name smol", "one GGUF file"],
      ],
    },
    {
      kind: "dataset",
      what: 'text for calibration and evaluation: .jsonl with {"text"} a line (and "slice", to be judged apart), or .txt',
      run: importDataset,
      example: "calibration",
      examples: [["espalier dataset import ./calibration.jsonl --name calibration", "one text a line"]],
    },
  ] as const;
  for (const { kind, what, run, example, examples } of kinds) {
    const group = program.command(kind).description(what);
    if (kind === "model") {
      profileCommand(group);
      searchCommand(group);
    }
    const add = group
      .command("import <path>")
      .description(`import a ${kind}; prints its digest`)
      .option("--name <name>", "name to refer to it by (default: the file's or folder's)")
      .action((path: string, options: { name?: string }, command) =>
        showOne(command, imported, (client) => run(client, path, options.name ?? basename(path))),
      );
    addExamples(add, examples);
    addList(group, {
      name: "list",
      description: `imported ${kind}s`,
      examples: [[`espalier ${kind} list -l name=${example}`, "one of them"]],
      listing: { ...listing, none: `no ${kind} is imported; see espalier ${kind} import --help` },
      labels: ({ name }) => ({ name }),
      selectorHelp: `only ${kind}s with this name, e.g. name=${example}`,
      async fetch(client) {
        const { trees } = await unary<ListModelsResponse__Output>((done) => client.listModels({}, done));
        return trees.filter((tree) => tree.kind === kind);
      },
    });
  }
}
