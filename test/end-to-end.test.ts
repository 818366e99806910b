/** The whole job on the bundled model with real processes; the demo's own code runs it (test/demo). */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { messages } from "@espalier/cli/client";
import { listDevices } from "@espalier/cli/commands/device";
import { listVariants } from "@espalier/cli/commands/variant";
import { checkoutFolder, findBinaries } from "@espalier/cli/up/binaries";
import type { ManagedProcess } from "@espalier/cli/up/managed-process";
import { fleetAlerts } from "@espalier/deploy/alerts";
import { digestOfBytes, digestOfJson } from "@espalier/shared/contracts/digest";
import { ModelProfile } from "@espalier/shared/contracts/model-profile";
import { Plan } from "@espalier/shared/contracts/plan";
import { EvaluationReport } from "@espalier/shared/contracts/report";
import { fleetRows } from "@espalier/shared/dashboard/panels";
import { dataNames, derivedNames } from "../coordinator/src/data-folder/layout.ts";
import { ask as askDevice } from "./demo/ask.ts";
import { type DemoResult, runDemo } from "./demo/run.ts";
import { findSubject } from "./demo/subject.ts";
import { eventually } from "./eventually.ts";
import { startPackedAgent } from "./packed-agent.ts";
import { type PrometheusApi, prometheusApi } from "./prometheus-api.ts";
import { espalier, loseCoordinator, runRollout, startCoordinator } from "./restore.ts";

const binaries = findBinaries();
const dataFolder = join(checkoutFolder, ".espalier/test/end-to-end");
let demo: DemoResult;
let prometheus: PrometheusApi;
let restored: ManagedProcess | undefined;
let packed: ManagedProcess | undefined;

before(async () => {
  const subject = await findSubject({ model: "tiny", data: "", binaries });
  // Other tests share the machine: times are measured and shown, never asserted.
  demo = await runDemo({ subject, binaries, dataFolder, maxPredictionError: 1000, say: () => {} });
  assert.ok(demo.stack.prometheusUrl !== null, "make setup finds or installs Prometheus");
  prometheus = prometheusApi(demo.stack.prometheusUrl);
});
after(async () => {
  await packed?.stop();
  await demo?.stack.stop();
  await restored?.stop();
});

test("every device ends active on the variant that the plan chose, measured by itself", () => {
  assert.equal(demo.rollout.phase, "complete");
  assert.equal(demo.report.devices.length, 3);
  for (const device of demo.report.devices) {
    assert.equal(device.state, "active", `${device.name}: ${device.reason}`);
    assert.ok(device.measured.tpotMs !== null && device.measured.tpotMs > 0);
    assert.ok(device.measured.peakMemoryBytes !== null && device.measured.peakMemoryBytes > 0);
    assert.ok(device.answer.length > 0, `${device.name} answered nothing`);
  }
});

test("each figure of the report follows from what plan, device and artifact say", async () => {
  const devices = await listDevices(demo.stack.client, "");
  const variants = await listVariants(demo.stack.client);
  for (const row of demo.report.devices) {
    const planned = demo.rollout.plan!.devices.find(({ deviceId }) => deviceId === row.id)!;
    assert.equal(row.recipe, planned.choice!.variantName);
    assert.equal(row.predicted.tpotMs, planned.choice!.prediction.tpotMs.value);
    assert.equal(row.predicted.ttftMs, planned.choice!.prediction.ttftMs.value);
    assert.equal(row.predicted.peakMemoryBytes, planned.choice!.prediction.peakMemoryBytes.value);

    const timing = devices.find(({ deviceId }) => deviceId === row.id)!.proof!.timing!;
    assert.equal(row.measured.tpotMs, timing.tpotMs.median);
    assert.equal(row.measured.ttftMs, timing.ttftMs.median);
    assert.equal(row.measured.peakMemoryBytes, timing.peakMemoryBytes);

    const listed = variants.find(({ name }) => name === row.recipe)!;
    const manifest = (await listVariants(demo.stack.client, { variant: listed.artifactDigest }))[0]!.manifest!;
    assert.equal(digestOfJson(manifest), listed.artifactDigest);
    assert.equal(row.artifactBytes, listed.totalBytes);
    const fileBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    assert.equal(manifest.totalBytes, fileBytes);
    assert.ok(listed.wireBytes! > 0 && listed.wireBytes! < fileBytes, "it travels packed");

    const bytes = await readVariantFile(listed.artifactDigest, "report.json");
    assert.equal(digestOfBytes(bytes), manifest.files.find(({ path }) => path === "report.json")!.digest);
    const report = EvaluationReport.parse(JSON.parse(bytes.toString()));
    const exported = report.stages.find(({ stage }) => stage === "exported")!.quality!;
    assert.equal(row.perplexity, exported.perplexity);
    assert.equal(row.agreement, exported.agreement);
    assert.equal(row.densePerplexity, report.dense.quality.perplexity);
  }
});

async function readVariantFile(artifactDigest: string, path: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const { data } of messages(demo.stack.client.readVariantFile({ artifactDigest, path }))) parts.push(data);
  return Buffer.concat(parts);
}

test("applications see the model under the name that it was imported by", async () => {
  for (const apiUrl of demo.apiUrls.values()) {
    const { data } = (await (await fetch(`${apiUrl}/v1/models`)).json()) as { data: { id: string }[] };
    assert.deepEqual(
      data.map(({ id }) => id),
      ["tiny"],
    );
  }
  const variants = await listVariants(demo.stack.client);
  assert.ok(variants.every(({ modelName }) => modelName === "tiny"));
});

test("a device streams a chat answer in several events over plain HTTP", async () => {
  const [apiUrl] = demo.apiUrls.values();
  const [model] = ((await (await fetch(`${apiUrl}/v1/models`)).json()) as { data: { id: string }[] }).data;
  const body = { model: model!.id, stream: true, max_tokens: 12, messages: [{ role: "user", content: "Hello" }] };
  const response = await fetch(`${apiUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.match(response.headers.get("content-type") ?? "", /text\/event-stream/);
  const events = (await response.text()).split("\n\n").filter((event) => event.startsWith("data: "));
  assert.ok(events.length > 3, `only ${events.length} events`);
  assert.equal(events.at(-1), "data: [DONE]");
});

test("the commands of docs/getting-started.md get answers from a device: curl and the official client", async (t) => {
  const [apiUrl] = demo.apiUrls.values();
  const guide = await readFile(join(checkoutFolder, "docs/getting-started.md"), "utf8");
  const environment = { ...process.env, ESPALIER_API: apiUrl };
  const run = (file: string, args: string[]) =>
    execFileSync(file, args, { encoding: "utf8", env: environment, cwd: join(checkoutFolder, "agent") });
  const [, program = ""] = /```js\n([^`]*(?:`[^`]+`[^`]*)*?)```/.exec(guide) ?? [];
  assert.ok(run(binaries.node, ["--input-type=module", "--eval", program]).trim().length > 0);
  const [command] = /^curl [\s\S]*?'$/m.exec(guide) ?? [];
  assert.ok(command !== undefined);
  if (spawnSync("curl", ["--version"]).error !== undefined) t.diagnostic("skipped curl: there is none here");
  else assert.match(run("sh", ["-c", command]), /^data: \[DONE\]$/m);
});

test("Prometheus finds every device by service discovery and scrapes all of them and the coordinator", async () => {
  await eventually(async () => {
    const targets = await prometheus.activeTargets();
    assert.equal(targets.length, 4, targets.map(({ scrapeUrl }) => scrapeUrl).join(" "));
    for (const { scrapeUrl, health, lastError } of targets) assert.equal(health, "up", `${scrapeUrl}: ${lastError}`);
  });
});

test("every expression of dashboard and alerts has data", async () => {
  const panels = fleetRows.flatMap((row) =>
    row.panels.flatMap(({ queries, unavailable }) => (unavailable === undefined ? queries : [])),
  );
  const measures = fleetAlerts.filter(({ onlyWhenWrong }) => !onlyWhenWrong).map(({ measure }) => measure);
  for (const expression of [...panels.map((query) => query.expression), ...measures]) {
    await eventually(async () => {
      await ask();
      const series = await prometheus.query(expression);
      assert.ok(series.length > 0, `no data: ${expression}`);
      // A quantile without observations is NaN by Prometheus' rules, e.g. of devices before their first variant.
      assert.ok(
        series.some(({ value }) => Number.isFinite(value)),
        `${expression}: ${JSON.stringify(series)}`,
      );
    });
  }
});

test("the console draws every chart of the dashboard from Prometheus", async () => {
  const page = await (await fetch(`${demo.stack.endpoints.httpUrl}/?range=15m`)).text();
  const charts = fleetRows.flatMap(({ panels }) => panels);
  const unavailable = charts.filter((panel) => panel.unavailable !== undefined && page.includes(panel.unavailable));
  assert.equal(page.match(/<svg /g)?.length, charts.length - unavailable.length);
});

test("in a healthy fleet Prometheus evaluates every alert rule and none fires", async () => {
  await eventually(async () => {
    const rules = await prometheus.alertRules();
    assert.deepEqual(rules.map(({ name }) => name).sort(), fleetAlerts.map(({ name }) => name).sort());
    for (const { name, health, lastError, state } of rules) {
      assert.equal(health, "ok", `${name}: ${lastError}`);
      assert.notEqual(state, "firing", name);
    }
  });
});

/** One request to each device, so that rates aren't empty. */
async function ask(): Promise<void> {
  for (const apiUrl of demo.apiUrls.values()) {
    const [model] = ((await (await fetch(`${apiUrl}/v1/models`)).json()) as { data: { id: string }[] }).data;
    const response = await fetch(`${apiUrl}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: model!.id, prompt: "Once upon a time", max_tokens: 4 }),
    });
    assert.equal(response.status, 200, await response.text());
  }
}

test("the metrics pages of coordinator and devices pass promtool's check", async () => {
  const { promtool } = binaries;
  assert.ok(promtool, "make setup finds or installs promtool");
  const { httpUrl } = demo.stack.endpoints;
  const [deviceId] = demo.apiUrls.keys();
  const urls = [
    `${httpUrl}/metrics`,
    `${httpUrl}/devices/${deviceId}/metrics`,
    ...[...demo.apiUrls.values()].map((url) => `${url}/metrics`),
  ];
  for (const url of urls) {
    const text = await (await fetch(url)).text();
    assert.match(text, /espalier_/);
    execFileSync(promtool, ["check", "metrics"], { input: text, stdio: ["pipe", "pipe", "inherit"] });
  }
});

test("a model's profile says what each block costs on a device and how much it is missed, with a picture", async () => {
  const svg = join(dataFolder, "profile.svg");
  const args = ["model", "profile", "tiny", "--evaluation", "evaluation", "--device", "pi", "--svg", svg, "-o", "json"];
  const printed = espalier(binaries, ["--context", demo.stack.contextPath, ...args]);
  const { parts, device, findings } = ModelProfile.parse(JSON.parse(printed));
  const blocks = parts.filter(({ layer }) => layer !== null);
  assert.equal(parts.length, blocks.length + 2, "embedding, blocks, head");
  assert.ok(blocks.every(({ removed, quantized }) => removed !== null && quantized !== null && removed.kl > 0));
  assert.ok(device !== null && device.name === "pi" && device.predictedMs > 0);
  assert.equal(findings.length, 4);
  assert.equal((await readFile(svg, "utf8")).match(/<title>/g)?.length, 4 * blocks.length);
});

test("a plan counts in devices of the library, and ones like a device whose profile was shared", async () => {
  const { contextPath } = demo.stack;
  const [profile, spec] = ["kiosk.json", "what-if.json"].map((name) => join(dataFolder, name)) as [string, string];
  const run = (...args: string[]) => espalier(binaries, ["--context", contextPath, ...args]);
  await writeFile(profile, run("device", "export", "workstation"));
  run("device", "import", profile, "--name", "kiosk");
  await writeFile(spec, JSON.stringify({ ...demo.rollout.spec, name: "what-if" }));
  const plan = Plan.parse(JSON.parse(run("plan", "-f", spec, "--with", "rpi5=2,kiosk=3", "-o", "json")));
  assert.equal(plan.checkIndex, "", "a plan with devices that aren't there can't be applied");
  const of = (reference: string) => plan.devices.filter(({ deviceId }) => deviceId.startsWith(`what-if/${reference}/`));
  assert.deepEqual([plan.devices.length, of("rpi5").length, of("kiosk").length], [8, 2, 3]);
  const measured = plan.devices.find(({ name }) => name === "workstation")!;
  for (const { choice } of of("kiosk")) {
    assert.equal(choice?.variantName, measured.choice?.variantName);
    assert.deepEqual(choice?.prediction.tpotMs, measured.choice?.prediction.tpotMs);
  }
  for (const { choice } of of("rpi5"))
    assert.ok(choice!.prediction.tpotMs.relativeUncertainty >= 0.5, "it is estimated");
  assert.match(run("device", "references", "-o", "wide"), /kiosk[\s\S]*rpi5/);
});

test("two variants are compared in pairs, and a baseline holds for the same ones and is broken by a worse one", async () => {
  const [best, second] = (await listVariants(demo.stack.client))
    .map(({ name, report }) => ({ name, kl: report!.stages.at(-1)!.quality!.kl }))
    .sort((x, y) => x.kl - y.kl);
  const baseline = join(dataFolder, "baseline.json");
  const compare = (a: string, b: string) =>
    espalier(binaries, ["--context", demo.stack.contextPath, "variant", "compare", a, b, "--baseline", baseline]);
  assert.match(compare(best!.name, best!.name), /perplexity .*no difference shown/);
  assert.match(compare(best!.name, best!.name), /tokens/);
  assert.throws(() => compare(best!.name, second!.name), /baseline\.broken/);
});

test("a coordinator restored into an empty folder finds its running agents again, and they take what it decides", async () => {
  const { stack } = demo;
  const folder = dirname(stack.contextPath);
  const workstation = async () => (await listDevices(stack.client, "device=workstation"))[0]!;
  const before = await workstation();
  const variants = await listVariants(stack.client);
  const other = variants.find(({ artifactDigest }) => artifactDigest !== before.activeArtifactDigest)!;
  const move = await moveTo("workstation", other.artifactDigest);
  const unknownNames = (await readdir(folder)).filter((name) => !isKnownName(name));
  assert.deepEqual(unknownNames, [], "data-folder/layout.ts says of each name whether a backup takes it");

  const backup = join(dataFolder, "backup.tar");
  assert.match(espalier(binaries, ["--context", stack.contextPath, "backup", backup]), /3 devices/);
  assert.equal((await runRollout(stack, { ...move, name: "after-the-backup" })).phase, "complete");
  assert.equal((await workstation()).activeArtifactDigest, other.artifactDigest);

  await loseCoordinator(stack);
  assert.match(espalier(binaries, ["restore", backup, "--data", folder]), /3 devices .* epoch \d{10}/);
  restored = await startCoordinator(binaries, folder);
  await eventually(async () => {
    const devices = await listDevices(stack.client, "");
    assert.deepEqual(
      devices.map(({ online, state }) => [online, state]),
      Array(3).fill([true, "active"]),
    );
    assert.equal((await workstation()).activeArtifactDigest, before.activeArtifactDigest, "as the backup has it");
  }, 120_000);
  const after = await runRollout(stack, { ...move, name: "after-the-restore" });
  assert.equal(after.phase, "complete", after.reason);
  assert.equal((await workstation()).activeArtifactDigest, other.artifactDigest);
});

test("an agent from the packed tarball joins from an empty folder, is measured, gets a variant and answers", async () => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-packed-agent-"));
  const { agent, apiUrl } = await startPackedAgent(binaries, demo.stack, folder);
  packed = agent;
  const [variant] = await listVariants(demo.stack.client);
  const rollout = await runRollout(demo.stack, {
    ...(await moveTo("packed", variant!.artifactDigest)),
    name: "packed",
  });
  assert.equal(rollout.phase, "complete", rollout.reason);
  assert.ok((await askDevice(apiUrl, "Tell me a story.", 8)).length > 0);
  await agent.stop();
  await rm(folder, { recursive: true });
});

/** A rollout that leaves one device no choice but a variant that is built already. */
async function moveTo(device: string, artifactDigest: string) {
  const { recipe } = (await listVariants(demo.stack.client, { variant: artifactDigest }))[0]!.manifest!;
  return { ...demo.rollout.spec, selector: `device=${device}`, candidates: [recipe], overrides: [] };
}

function isKnownName(name: string): boolean {
  const [base] = name.split(/-(?:wal|shm|journal)$/);
  return [...Object.values(dataNames), ...derivedNames].includes(base ?? "");
}
