import { writeFile } from "node:fs/promises";
import type { Floor } from "@espalier/shared/contracts/build";
import { meetsFloor, parseFloor, writeFloor } from "@espalier/shared/contracts/floor";
import { recipeName } from "@espalier/shared/contracts/recipe";
import { SensitivityReport } from "@espalier/shared/contracts/report";
import { EspalierError } from "@espalier/shared/errors";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { messages } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { renderTable, type Showing } from "../output/print.ts";
import { startProgress } from "../output/progress.ts";
import { bytes, percent } from "../output/quantities.ts";
import { showOne } from "../session.ts";

interface SearchOptions {
  floor: string;
  calibration: string;
  evaluation: string;
  methods?: string;
  mostSparsity: number;
  trials: number;
  kvCache: string;
  recipes?: string;
}

/** Asks for a search: a builder judges recipes for minutes to hours; the same search again is there at once. */
export async function requestSearch(
  client: OperatorClient,
  model: string,
  { floor, calibration, evaluation, methods = "", mostSparsity, trials, kvCache }: SearchOptions,
): Promise<SensitivityReport> {
  const progress = startProgress("search");
  let front: SensitivityReport | undefined;
  const asked = methods.split(",").filter((name) => name !== "");
  const call = client.searchModel({
    model,
    floor,
    calibration,
    evaluation,
    methods: asked,
    mostSparsity,
    trials,
    kvCache,
  });
  try {
    for await (const event of messages(call)) {
      progress.update(event.fraction, event.message);
      if (event.front) front = fromDocument(event.front, SensitivityReport);
    }
  } finally {
    progress.finish();
  }
  if (front === undefined) throw new EspalierError("search.missing", "the coordinator ended the call without a front");
  return front;
}

/** The front, lightest first, and which of it is the lightest that meets the floor. */
export function renderFront({ candidates, dense, protocol }: SensitivityReport, floor: Floor): string {
  const table = renderTable(candidates, [
    { title: "RECIPE", cell: ({ recipe }) => recipeName(recipe) },
    { title: "WEIGHTS", cell: ({ shape }) => bytes(shape.weightBytes) },
    { title: "KL", cell: ({ quality }) => quality.kl.toFixed(4) },
    { title: "AGREEMENT", cell: ({ quality }) => percent(quality.agreement) },
    { title: "PERPLEXITY", cell: ({ quality }) => quality.perplexity.toFixed(2) },
  ]);
  const lightest = candidates.find(({ quality }) => meetsFloor(quality, floor));
  const answer =
    lightest === undefined
      ? `None meets ${writeFloor(floor)}: lower the floor, or allow less sparsity.`
      : `${recipeName(lightest.recipe)} is the lightest of these that meets ${writeFloor(floor)}.`;
  const text = protocol.datasetOrigin === "given" ? "of the given text" : "that the model wrote itself";
  return `${table}\n${answer} No recipe is both smaller and better than one of these. Dense perplexity ${dense.perplexity.toFixed(2)}, over ${protocol.tokens} tokens ${text}.\n`;
}

export function searchCommand(group: Command): void {
  const search = group
    .command("search <model>")
    .description("let a builder look for the most compressed recipes above a floor of quality")
    .requiredOption("--floor <text>", "agreement>=0.9, kl<=0.1, perplexity<=30 or bitsPerByte<=1.1")
    .option("--calibration <dataset>", "text that methods learn from (default: the model writes its own)", "")
    .option("--evaluation <dataset>", "text to judge by (default: the model writes its own)", "")
    .option("--methods <names>", "pruning methods to try, e.g. obs (default: cfsp-rel+refit,shortgpt+refit)")
    .option("--most-sparsity <share>", "the largest share of parameters to remove", Number, 0.5)
    .option("--trials <count>", "recipes to judge", Number, 40)
    .option(
      "--kv-cache <format>",
      "judge every recipe with such a cache: int8 (default: keys and values as they are)",
      "",
    )
    .option("--recipes <file>", "write the recipes as JSON, for a rollout's candidates")
    .addHelpText(
      "after",
      `
Recipes are judged without being built: first a sweep, then those that an optimiser proposes near the floor. A builder
that is stopped goes on where it was. The same search asked again is there at once.`,
    )
    .action((model: string, options: SearchOptions, command: Command) => {
      const floor = parseFloor(options.floor);
      const searched: Showing<SensitivityReport> = {
        name: ({ candidates }) => candidates.map(({ recipe }) => recipeName(recipe)).join("\n"),
        text: (front) => renderFront(front, floor),
      };
      return showOne(command, searched, async (client) => {
        const front = await requestSearch(client, model, options);
        const recipes = front.candidates.map(({ recipe }) => recipe);
        if (options.recipes !== undefined) await writeFile(options.recipes, `${JSON.stringify(recipes, null, 2)}\n`);
        return front;
      });
    });
  addExamples(search, [
    ["espalier model search smol --floor 'agreement>=0.8' --evaluation text", "what to offer to small devices"],
  ]);
}
