import { Manifest } from "@espalier/shared/contracts/manifest";
import { EvaluationReport } from "@espalier/shared/contracts/report";
import { EspalierError } from "@espalier/shared/errors";
import type { ListVariantsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListVariantsResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { Variant__Output } from "@espalier/shared/generated/espalier/v1/Variant";
import { fromDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { stringify } from "yaml";
import { unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import type { Listing } from "../output/print.ts";
import { bytes, percent, shortDigest, time, unknown } from "../output/quantities.ts";
import { showOne } from "../session.ts";
import { addList } from "./list-command.ts";
import { compareCommand } from "./variant-compare.ts";

export function readVariant(variant: Variant__Output) {
  const { report, manifest, wireBytes, ...plain } = variant;
  return {
    ...plain,
    /** What a device that holds nothing of it downloads; null where nobody measured it. */
    wireBytes: wireBytes === 0 ? null : wireBytes,
    report: report && fromDocument(report, EvaluationReport),
    manifest: manifest && fromDocument(manifest, Manifest),
  };
}
export type VariantView = ReturnType<typeof readVariant>;

export async function listVariants(client: OperatorClient, request: { model?: string; variant?: string } = {}) {
  const { variants } = await unary<ListVariantsResponse__Output>((done) => client.listVariants(request, done));
  return variants.map(readVariant);
}

/** Quality of the files that ship, as ONNX Runtime ran them on the builder. */
export function exportedQuality(variant: VariantView) {
  return variant.report?.stages.find((row) => row.stage === "exported")?.quality ?? null;
}

const listing: Listing<VariantView> = {
  name: (variant) => variant.name,
  none: "no variant is built; a rollout builds what its devices need",
  columns: [
    { title: "NAME", cell: (variant) => variant.name },
    { title: "MODEL", cell: (variant) => variant.modelName },
    { title: "DIGEST", cell: (variant) => shortDigest(variant.artifactDigest) },
    { title: "SIZE", cell: (variant) => bytes(variant.totalBytes) },
    { title: "DOWNLOAD", cell: ({ wireBytes }) => (wireBytes === null ? unknown : bytes(wireBytes)) },
    { title: "PERPLEXITY", cell: (variant) => exportedQuality(variant)?.perplexity.toFixed(2) ?? unknown },
    { title: "DENSE", cell: (variant) => variant.report?.dense.quality.perplexity.toFixed(2) ?? unknown },
    { title: "AGREEMENT", cell: (variant) => percent(exportedQuality(variant)?.agreement) },
    { title: "KL", cell: (variant) => exportedQuality(variant)?.kl.toFixed(4) ?? unknown, wide: true },
    { title: "DEVICES", cell: (variant) => String(variant.devicesActive) },
    { title: "BUILT", cell: (variant) => time(variant.builtAtMs, false) },
    { title: "FULL DIGEST", cell: (variant) => variant.artifactDigest, wide: true },
  ],
};

export function variantCommand(program: Command): void {
  const variant = program.command("variant").description("built variants: a model at a level, as devices run it");
  addList<VariantView, { model: string }>(variant, {
    name: "list",
    description: "variants with their size, what of it devices download, and their quality",
    examples: [
      ["espalier variant list --model smol", "what there is of a model"],
      ["espalier variant list -o wide", "with KL divergence and whole digests"],
    ],
    listing,
    labels: ({ name, modelName }) => ({ name, model: modelName }),
    selectorHelp: "only variants with this name or model, e.g. model=smol",
    options: (command) => command.option("--model <model>", "only variants of this model", ""),
    fetch: (client, { model }) => listVariants(client, { model }),
  });
  addExamples(
    variant
      .command("show <variant>")
      .description("report and manifest of one variant, by name or digest")
      .action((name: string, _options, command) =>
        showOne(command, { name: listing.name, text: (found) => stringify(found) }, (client) =>
          findVariant(client, name),
        ),
      ),
    [["espalier variant show dense-q4b32a -o json | jq .report.stages", "what each stage cost in quality"]],
  );
  compareCommand(variant, findVariant);
}

async function findVariant(client: OperatorClient, name: string): Promise<VariantView> {
  const [found] = await listVariants(client, { variant: name });
  if (found !== undefined) return found;
  throw new EspalierError("variant.unknown", `no variant is called ${name}`, {
    fields: { variant: name },
    remedy: "espalier variant list -o name",
  });
}
