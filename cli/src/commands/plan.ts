import { Plan } from "@espalier/shared/contracts/plan";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { EspalierError } from "@espalier/shared/errors";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument, toDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { messages } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { renderOne, renderTable } from "../output/print.ts";
import { startProgress } from "../output/progress.ts";
import { bytes, milliseconds, percent, unknown } from "../output/quantities.ts";
import { withClient } from "../session.ts";
import { readSpec } from "../spec-file.ts";

/** Plans a specification; the first plan of a model measures and runs the sensitivity job, which takes minutes. */
export async function requestPlan(client: OperatorClient, spec: RolloutSpec): Promise<Plan> {
  const progress = startProgress("plan");
  let plan: Plan | undefined;
  try {
    for await (const event of messages(client.plan({ spec: toDocument("RolloutSpec", spec) }))) {
      progress.update(event.fraction, event.message);
      if (event.plan) plan = fromDocument(event.plan, Plan);
    }
  } finally {
    progress.finish();
  }
  if (plan === undefined) throw new EspalierError("plan.missing", "the coordinator ended the call without a plan");
  return plan;
}

export function renderPlan(plan: Plan): string {
  const devices = renderTable(plan.devices, [
    { title: "DEVICE", cell: (device) => device.name },
    { title: "VARIANT", cell: (device) => device.choice?.variantName ?? "none" },
    { title: "TPOT", cell: (device) => milliseconds(device.choice?.prediction.tpotMs.value) },
    { title: "TTFT", cell: (device) => milliseconds(device.choice?.prediction.ttftMs.value) },
    { title: "MEMORY", cell: (device) => bytes(device.choice?.prediction.peakMemoryBytes.value) },
    { title: "DISK", cell: (device) => bytes(device.choice?.prediction.diskBytes.value) },
    { title: "WHY", cell: (device) => device.reason, wraps: true },
  ]);
  const frontier = renderTable(plan.frontier, [
    { title: "CANDIDATE", cell: (variant) => variant.name },
    { title: "WEIGHTS", cell: (variant) => bytes(variant.weightBytes) },
    { title: "PERPLEXITY", cell: (variant) => variant.quality.perplexity.toFixed(2) },
    { title: "AGREEMENT", cell: (variant) => percent(variant.quality.agreement) },
    { title: "KL", cell: ({ quality }) => `${quality.kl.toFixed(4)} ± ${quality.klHalfWidth.toFixed(4)}` },
    { title: "FROM", cell: (variant) => variant.qualitySource },
    { title: "DEVICES", cell: (variant) => (variant.devices > 0 ? String(variant.devices) : unknown) },
  ]);
  return `${plan.modelName}\n\n${devices}\n${frontier}`;
}

export function planCommand(program: Command): void {
  const command = program
    .command("plan")
    .description("say which variant each device would get, and why; changes nothing on devices")
    .requiredOption("-f, --file <file>", "rollout specification (YAML or JSON)")
    .action(async (options: { file: string }, command) => {
      const spec = await readSpec(options.file);
      await withClient(command, async (client, { output }) => {
        const plan = await requestPlan(client, spec);
        const showing = { name: () => spec.name, text: renderPlan };
        process.stdout.write(renderOne(plan, showing, output));
      });
    });
  addExamples(command, [
    ["espalier plan -f rollout.yaml", "what would happen, before anything does"],
    ["espalier plan -f rollout.yaml -o json | jq '.devices[].choice.variantName'", "for a program"],
  ]);
}
