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
import { type Listing, renderList } from "../output/print.ts";
import { ago, bytes, percent, shortDigest, unknown } from "../output/quantities.ts";
import { withClient } from "../session.ts";

export function readVariant(variant: Variant__Output) {
  const { report, manifest, ...plain } = variant;
  return {
    ...plain,
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
  columns: [
    { title: "NAME", cell: (variant) => variant.name },
    { title: "MODEL", cell: (variant) => variant.modelName },
    { title: "DIGEST", cell: (variant) => shortDigest(variant.artifactDigest) },
    { title: "SIZE", cell: (variant) => bytes(variant.totalBytes) },
    { title: "PERPLEXITY", cell: (variant) => exportedQuality(variant)?.perplexity.toFixed(2) ?? unknown },
    { title: "DENSE", cell: (variant) => variant.report?.dense.quality.perplexity.toFixed(2) ?? unknown },
    { title: "AGREEMENT", cell: (variant) => percent(exportedQuality(variant)?.agreement) },
    { title: "DEVICES", cell: (variant) => String(variant.devicesActive) },
    { title: "BUILT", cell: (variant) => ago(variant.builtAtMs, Date.now()) },
  ],
};

export function variantCommand(program: Command): void {
  const variant = program.command("variant").description("built variants: a model at a level, as devices run it");
  variant
    .command("list")
    .description("variants with their size and quality")
    .option("--model <name>", "only variants of this model", "")
    .action(async (options: { model: string }, command) => {
      await withClient(command, async (client, { output }) => {
        process.stdout.write(renderList(await listVariants(client, options), listing, output));
      });
    });
  variant
    .command("show <variant>")
    .description("report and manifest of one variant, by name or digest")
    .action(async (name: string, _options, command) => {
      await withClient(command, async (client, { output }) => {
        const [found] = await listVariants(client, { variant: name });
        if (found === undefined) {
          throw new EspalierError("variant.unknown", `no variant is called ${name}`, {
            fields: { variant: name },
            remedy: "espalier variant list -o name",
          });
        }
        process.stdout.write(output === "json" ? `${JSON.stringify(found, null, 2)}\n` : stringify(found));
      });
    });
}
