import { writeFile } from "node:fs/promises";
import { Plan } from "@espalier/shared/contracts/plan";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { EspalierError } from "@espalier/shared/errors";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument, toDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { messages } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { renderDiff, renderPlan } from "../output/plan.ts";
import { drawPlan } from "../output/plan-picture.ts";
import { renderOne } from "../output/print.ts";
import { startProgress } from "../output/progress.ts";
import { withClient } from "../session.ts";
import { readSpec } from "../spec-file.ts";

/** Plans a specification; the first plan of a model measures and runs the sensitivity job, which takes minutes. */
export async function requestPlan(
  client: OperatorClient,
  spec: RolloutSpec,
  whatIf: readonly WhatIf[] = [],
): Promise<Plan> {
  const progress = startProgress("plan");
  let plan: Plan | undefined;
  try {
    for await (const event of messages(client.plan({ spec: toDocument("RolloutSpec", spec), whatIf: [...whatIf] }))) {
      progress.update(event.fraction, event.message);
      if (event.plan) plan = fromDocument(event.plan, Plan);
    }
  } finally {
    progress.finish();
  }
  if (plan === undefined) throw new EspalierError("plan.missing", "the coordinator ended the call without a plan");
  return plan;
}

interface WhatIf {
  reference: string;
  count: number;
}

/** Reads `rpi5=20,n100=5`. @throws {EspalierError} `what-if.malformed` */
export function readWhatIf(text: string): WhatIf[] {
  if (text === "") return [];
  return text.split(",").map((part) => {
    const [, reference, count] = /^([a-z0-9][a-z0-9-]*)=([1-9][0-9]{0,5})$/.exec(part.trim()) ?? [];
    if (reference === undefined) {
      throw new EspalierError("what-if.malformed", `"${part}" says not how many of which device`, {
        remedy: "write NAME=COUNT, separated by commas; see `espalier device references`",
      });
    }
    return { reference, count: Number(count) };
  });
}

export function planCommand(program: Command): void {
  const command = program
    .command("plan")
    .description("say which variant each device would get, and why; changes nothing on devices")
    .requiredOption("-f, --file <file>", "rollout specification (YAML or JSON)")
    .option("--diff", "only what would change on the devices")
    .option("--with <devices>", "count in devices that aren't there, e.g. rpi5=20,n100=5 (espalier device references)")
    .option("--svg <file>", "draw quality against speed, with the fleet's devices, into this file too")
    .addHelpText(
      "after",
      `
The plan names every choice's reason, what each limit made looser would buy, and the cost beside shipping the best
unpruned variant everywhere. Its check index makes an apply safe: "rollout start --check-index N" refuses when devices,
measurements or variants have changed since. "-o json" gives the whole plan.`,
    )
    .action(async (options: { file: string; diff?: boolean; svg?: string; with?: string }, command) => {
      const whatIf = readWhatIf(options.with ?? "");
      const spec = await readSpec(options.file);
      await withClient(command, async (client, { output }) => {
        const plan = await requestPlan(client, spec, whatIf);
        if (options.svg !== undefined) await writeFile(options.svg, drawPlan(plan));
        const showing = { name: () => spec.name, text: options.diff === true ? renderDiff : renderPlan };
        process.stdout.write(renderOne(plan, showing, output));
      });
    });
  addExamples(command, [
    ["espalier plan -f rollout.yaml", "what would happen, before anything does"],
    ["espalier plan -f rollout.yaml --svg front.svg", "a picture of what the fleet gives for its speed"],
    ["espalier plan -f rollout.yaml --with rpi5=20,n100=5", "before buying twenty-five devices"],
    ["espalier plan -f rollout.yaml --diff", "what would change on the devices"],
    ["espalier plan -f rollout.yaml -o json | jq '.devices[].choice.variantName'", "for a program"],
  ]);
}
