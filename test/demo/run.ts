import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { listDevices } from "@espalier/cli/commands/device";
import { importDataset, importModel } from "@espalier/cli/commands/imports";
import { requestPlan } from "@espalier/cli/commands/plan";
import { listVariants } from "@espalier/cli/commands/variant";
import { renderPlan } from "@espalier/cli/output/plan";
import { rolloutLine } from "@espalier/cli/output/rollout";
import { startRollout, watchRollout } from "@espalier/cli/rollouts";
import type { Binaries } from "@espalier/cli/up/binaries";
import { type Stack, startStack } from "@espalier/cli/up/stack";
import type { Plan } from "@espalier/shared/contracts/plan";
import { RolloutSpec, type RolloutSpecInput } from "@espalier/shared/contracts/rollout-spec";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import { ask } from "./ask.ts";
import { checkLimit } from "./limit-check.ts";
import { candidateCosts, fourBitBudget, impossibleLimits, prunedLimits } from "./limits.ts";
import { type DemoReport, demoDevices } from "./report.ts";
import type { Subject } from "./subject.ts";

export interface DemoOptions {
  subject: Subject;
  binaries: Binaries;
  /** Emptied first. */
  dataFolder: string;
  /** How far a measured time may be from its prediction before the rollout pauses. */
  maxPredictionError: number;
  say(line: string): void;
}

export interface DemoResult {
  report: DemoReport;
  plan: Plan;
  rollout: RolloutState;
  stack: Stack;
  apiUrls: Map<string, string>;
}

/** The three devices: `mini` and `pi` get their limits from what the first plan predicts for this model. */
const names = { workstation: "workstation", mini: "mini", pi: "pi" } as const;
const piQuotaCores = 0.5;
const answerTokens = 60;
/**
 * The machine plays three devices at once and is shared: the 90th percentile of a dozen requests was seen at one and a half
 * times the calm one. Whether the limit holds is checked afterwards, beside the dense variant.
 */
const latencyMargin = 1;
/** Half of what a rollout takes by default: somebody waits, and two cores evaluate a few hundred tokens a second. */
const waitedFor: RolloutSpecInput["build"] = { sensitivityTokens: 1_024, evaluationTokens: 4_096 };

/** The main job on one machine. The caller stops the stack. */
export async function runDemo({
  subject,
  binaries,
  dataFolder,
  maxPredictionError,
  say,
}: DemoOptions): Promise<DemoResult> {
  const steps: DemoReport["steps"] = [];
  const startedMs = performance.now();
  const step = async <Value>(title: string, action: () => Promise<Value>): Promise<Value> => {
    say(`\n== ${title}`);
    const beganMs = performance.now();
    const value = await action();
    const seconds = (performance.now() - beganMs) / 1000;
    steps.push({ step: title, seconds });
    say(`   ${seconds.toFixed(1)} s`);
    return value;
  };
  await rm(dataFolder, { recursive: true, force: true });
  await mkdir(dataFolder, { recursive: true });
  say(`model ${subject.modelPath}\ntext  ${subject.textOrigin}`);

  const stack = await step("start coordinator, broker and builder", () =>
    startStack({
      dataFolder,
      binaries,
      onUnexpectedExit: (name, reason, logPath) => say(`${name} ended: ${reason}; see ${logPath}`),
    }),
  );
  try {
    const apiUrls = new Map<string, string>();
    const startAgent = async (name: string, budget: Record<string, string>) => {
      const agent = await stack.startAgent({ name, labels: { device: name }, budget });
      apiUrls.set(agent.deviceId, agent.apiUrl);
      say(`${name}: ${agent.deviceId} at ${agent.apiUrl}`);
    };
    const imported = await step("import", () => importSubject(stack, subject));
    const base: RolloutSpecInput = { ...imported, gates: { maxPredictionError, latencyMargin }, build: waitedFor };
    const probe: RolloutSpecInput = { ...base, limits: impossibleLimits };

    await step(`enroll ${names.workstation}`, () => startAgent(names.workstation, { threads: "2" }));
    const firstPlan = await step("measure it, and how sensitive the model is", () => plan(stack, probe));
    const budget = fourBitBudget(candidateCosts(firstPlan, names.workstation));
    await step("enroll two smaller devices", async () => {
      await startAgent(names.mini, { threads: "1", ...textValues(budget) });
      await startAgent(names.pi, { threads: "1", "cpu-quota": String(piQuotaCores) });
    });
    const secondPlan = await step("measure them", () => plan(stack, probe));
    const limits = prunedLimits(candidateCosts(secondPlan, names.pi));
    const spec: RolloutSpecInput = { ...base, overrides: [{ selector: `device=${names.pi}`, limits }] };
    const finalPlan = await step("plan", () => plan(stack, spec));
    say(renderPlan(finalPlan));

    const rollout = await step("build, push, prove, activate", () => followRollout(stack, spec, say));
    const devices = await listDevices(stack.client, "");
    const variants = await listVariants(stack.client);
    const limit =
      "tpotP90Ms" in limits
        ? await step("try the dense variant and its own on the last device", () =>
            checkLimit({ client: stack.client, variants, devices, deviceName: names.pi, ...limits }),
          )
        : null;
    const answers = new Map<string, string>();
    await step("ask each device", async () => {
      for (const [deviceId, apiUrl] of apiUrls)
        answers.set(deviceId, await ask(apiUrl, subject.question, answerTokens));
    });
    const report: DemoReport = {
      model: subject.modelName,
      text: subject.textOrigin,
      elapsedSeconds: (performance.now() - startedMs) / 1000,
      steps,
      devices: demoDevices({ plan: rollout.plan ?? finalPlan, rollout, devices, variants, answers }),
      limit,
    };
    await writeFile(join(dataFolder, "report.json"), `${JSON.stringify(report, null, 2)}\n`);
    return { report, plan: finalPlan, rollout, stack, apiUrls };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

async function importSubject(stack: Stack, subject: Subject): Promise<RolloutSpecInput> {
  const model = await importModel(stack.client, subject.modelPath, subject.modelName);
  const text = async (path: string | null, name: string) =>
    path === null ? undefined : (await importDataset(stack.client, path, name)).digest;
  const calibration = await text(subject.calibrationPath, "calibration");
  const evaluation = await text(subject.evaluationPath, "evaluation");
  return {
    name: "demo",
    model: model.digest,
    ...(calibration === undefined ? {} : { calibration }),
    ...(evaluation === undefined ? {} : { evaluation }),
  };
}

function plan(stack: Stack, spec: RolloutSpecInput): Promise<Plan> {
  return requestPlan(stack.client, RolloutSpec.parse(spec));
}

async function followRollout(stack: Stack, spec: RolloutSpecInput, say: DemoOptions["say"]): Promise<RolloutState> {
  const { rolloutId } = await startRollout(stack.client, RolloutSpec.parse(spec));
  let last: RolloutState | undefined;
  let lastLine = "";
  for await (const state of watchRollout(stack.client, rolloutId)) {
    last = state;
    const line = rolloutLine(state);
    if (line !== lastLine) say(line);
    lastLine = line;
    if (state.phase === "paused") break;
  }
  if (last?.phase !== "complete") {
    const gates = last?.waves.flatMap((wave) => wave.gates.filter((gate) => gate.verdict !== "pass")) ?? [];
    const why = [last?.reason, ...gates.map((gate) => gate.message)].filter((text) => text !== "").join("; ");
    throw new EspalierError("demo.rollout", `the rollout ended ${last?.phase ?? "unseen"}: ${why}`);
  }
  return last;
}

function textValues(values: Record<string, number>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]));
}
