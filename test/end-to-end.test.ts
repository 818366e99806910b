/** The whole job on the bundled model with real processes; the demo's own code runs it (test/demo). */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { messages } from "@espalier/cli/client";
import { listDevices } from "@espalier/cli/commands/device";
import { listVariants } from "@espalier/cli/commands/variant";
import { checkoutFolder, findBinaries } from "@espalier/cli/up/binaries";
import { fleetRows } from "@espalier/deploy/panels";
import { digestOfBytes, digestOfJson } from "@espalier/shared/contracts/digest";
import { EvaluationReport } from "@espalier/shared/contracts/report";
import { type DemoResult, runDemo } from "./demo/run.ts";
import { findSubject } from "./demo/subject.ts";
import { eventually } from "./eventually.ts";
import { type PrometheusServer, startPrometheus } from "./prometheus/server.ts";

const binaries = findBinaries();
const dataFolder = join(checkoutFolder, ".espalier/test/end-to-end");
let demo: DemoResult;
let prometheus: PrometheusServer;

before(async () => {
  const subject = await findSubject({ model: "tiny", data: "", binaries });
  // Other tests share the machine: times are measured and shown, never asserted.
  demo = await runDemo({ subject, binaries, dataFolder, maxPredictionError: 1000, say: () => {} });
  const { prometheus: binary } = binaries;
  assert.ok(binary, "make setup finds or installs Prometheus");
  prometheus = await startPrometheus(binary, join(dataFolder, "prometheus"), demo.stack.endpoints.httpUrl);
});
after(async () => {
  await prometheus?.stop();
  await demo?.stack.stop();
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

test("Prometheus finds every device by service discovery and scrapes all of them and the coordinator", async () => {
  await eventually(async () => {
    const targets = await prometheus.activeTargets();
    assert.equal(targets.length, 4, targets.map(({ scrapeUrl }) => scrapeUrl).join(" "));
    for (const { scrapeUrl, health, lastError } of targets) assert.equal(health, "up", `${scrapeUrl}: ${lastError}`);
  });
});

test("every expression of the dashboard has data", async () => {
  await ask();
  for (const { expression } of fleetRows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries))) {
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
