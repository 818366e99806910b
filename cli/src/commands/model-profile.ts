import { writeFile } from "node:fs/promises";
import { type ModelPart, ModelProfile } from "@espalier/shared/contracts/model-profile";
import { EspalierError } from "@espalier/shared/errors";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { messages } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { renderTable, type Showing } from "../output/print.ts";
import { profilePicture } from "../output/profile-picture.ts";
import { startProgress } from "../output/progress.ts";
import { bytes, milliseconds, percent, unknown } from "../output/quantities.ts";
import { showOne } from "../session.ts";

interface ProfileOptions {
  evaluation: string;
  device: string;
  format: string;
  context: number;
  svg?: string;
}

/** Asks for a profile; the first of a model and text takes the builder minutes. */
export async function requestProfile(
  client: OperatorClient,
  model: string,
  options: Omit<ProfileOptions, "svg">,
): Promise<ModelProfile> {
  const { evaluation, device, format, context: contextTokens } = options;
  const progress = startProgress("profile");
  let profile: ModelProfile | undefined;
  try {
    for await (const event of messages(client.profileModel({ model, evaluation, device, format, contextTokens }))) {
      progress.update(event.fraction, event.message);
      if (event.profile) profile = fromDocument(event.profile, ModelProfile);
    }
  } finally {
    progress.finish();
  }
  if (profile === undefined) throw new EspalierError("profile.missing", "the coordinator ended the call without one");
  return profile;
}

export function renderProfile(profile: ModelProfile): string {
  const { device, protocol, dense, parts } = profile;
  const sum = (of: (part: ModelPart) => number) => parts.reduce((total, part) => total + of(part), 0);
  const kl = (damage: ModelPart["removed"]) =>
    damage === null ? unknown : `${damage.kl.toFixed(4)} ± ${damage.klHalfWidth.toFixed(4)}`;
  const table = renderTable(parts, [
    { title: "PART", cell: ({ part, layer }) => (layer === null ? part : `${layer} ${part}`) },
    { title: "PARAMETERS", cell: (part) => millions(part.parameters) },
    { title: "FLOPS/TOKEN", cell: (part) => millions(part.flopsPerToken) },
    { title: "WEIGHTS/TOKEN", cell: (part) => bytes(Math.round(part.weightBytesPerToken)) },
    {
      title: "CACHE/TOKEN",
      cell: (part) => (part.cacheBytesPerToken === 0 ? unknown : bytes(part.cacheBytesPerToken)),
    },
    { title: "TIME", cell: (part) => milliseconds(part.predictedMs) },
    { title: "SHARE", cell: (part) => percent(device && (part.predictedMs ?? 0) / device.predictedMs) },
    { title: "KL AT 4 BITS", cell: (part) => kl(part.quantized) },
    { title: "KL REMOVED", cell: (part) => kl(part.removed) },
  ]);
  const where =
    device === null ? "" : `, ${milliseconds(device.predictedMs)} per token on ${device.name} (${device.format})`;
  const head = `${profile.modelName}: ${millions(sum((part) => part.parameters))} parameters, ${millions(sum((part) => part.flopsPerToken))} operations per token at ${profile.contextTokens} tokens of context${where}`;
  const how = `KL to the dense model (perplexity ${dense.perplexity.toFixed(2)}) over ${protocol.tokens} tokens ${protocol.datasetOrigin === "given" ? "of the given text" : "that it wrote itself"}, one block changed at a time, without recovery.`;
  return `${head}\n\n${table}\n${how}\n${profile.findings.map((finding) => `- ${finding}\n`).join("")}`;
}

function millions(value: number): string {
  return value === 0 ? unknown : `${(value / 1e6).toFixed(2)} M`;
}

const profiled: Showing<ModelProfile> = { name: ({ modelName }) => modelName, text: renderProfile };

export function profileCommand(group: Command): void {
  const profile = group
    .command("profile <model>")
    .description("what each layer costs and how much quality hangs on it: where the bottleneck lies")
    .option("--evaluation <dataset>", "text to judge by (default: the model writes its own)", "")
    .option("--device <device>", "whose times to predict (default: the first that measured this model's kit)", "")
    .option("--format <key>", "weight format of the times, e.g. q8b128 (default: the first that was measured)", "")
    .option("--context <tokens>", "tokens in the context while a token is generated", Number, 256)
    .option("--svg <file>", "write the picture as well")
    .addHelpText(
      "after",
      `
Each block (attention, feed-forward) is rounded to 4 bits, then removed, alone and without recovery; the KL to the dense
model says how much it is missed. The first profile of a model takes the builder minutes; asked again, it is there.`,
    )
    .action((model: string, { svg, ...options }: ProfileOptions, command: Command) =>
      showOne(command, profiled, async (client) => {
        const profile = await requestProfile(client, model, options);
        if (svg !== undefined) await writeFile(svg, profilePicture(profile));
        return profile;
      }),
    );
  addExamples(profile, [
    ["espalier model profile smol --evaluation text --device pi --svg profile.svg", "a table, and a picture"],
  ]);
}
