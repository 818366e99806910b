import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { type Digest, digestOfJson } from "@espalier/shared/contracts/digest";
import { artifactFiles } from "@espalier/shared/contracts/manifest";
import { hex } from "@espalier/shared/nats-names";
import { type TinyRecipe, tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { ModelSlot, type ServedModel } from "../api/model-slot.ts";
import { openVariantStore } from "../download/variant-store.ts";
import { RuntimeWorkers } from "../runtime/runtime-workers.ts";
import { serveForEver } from "../testing/serve-for-ever.ts";
import { type AgentState, type Installed, nothingProven, openStateStore } from "./agent-state.ts";
import { createUpdater, type UpdaterDeps } from "./updater.ts";

/** A device that holds variants of the bundled model; nothing of it talks to anybody. */
async function device(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), "espalier-updater-"));
  let stop = async (): Promise<void> => {};
  t.after(async () => {
    await stop();
    await rm(root, { recursive: true });
  });
  const folderOf = (digest: Digest) => join(root, "variants", hex(digest));
  await mkdir(join(root, "variants"));
  const log = { info: () => {}, warn: () => {} };
  const state = await openStateStore(join(root, "state.json"), log);
  const threads: Worker[] = [];
  const start = (): Worker => {
    const worker = new Worker(new URL("../runtime/worker.ts", import.meta.url));
    threads.push(worker);
    return worker;
  };
  const workers = new RuntimeWorkers({ mostIdle: 1, start });
  const slot = new ModelSlot();
  const ended: string[] = [];
  let served = Promise.withResolvers<void>();
  let reported = Promise.withResolvers<void>();
  return {
    state,
    slot,
    threads,
    folderOf,
    /** How assignments ended, as reported. */
    ended,
    reported: () => reported.promise,
    async hold(recipe: TinyRecipe): Promise<Installed> {
      const { folder, manifest } = await tinyArtifact(recipe);
      const artifactDigest = digestOfJson(manifest);
      await cp(folder, folderOf(artifactDigest), { recursive: true });
      return { artifactDigest, name: recipe, modelName: "m", activatedAtMs: 0, proof: nothingProven };
    },
    async nextServed(): Promise<ServedModel> {
      await served.promise;
      served = Promise.withResolvers();
      assert.ok(slot.current !== null);
      return slot.current;
    },
    /** Runs an updater that begins with `known`, until the test ends. */
    async run(known: Partial<AgentState>): Promise<void> {
      await state.change((now) => ({ ...now, ...known }));
      const variants = await openVariantStore(join(root, "variants"));
      const updater = createUpdater({
        state,
        slot,
        load: { variants, threads: 1, spinning: false, contextTokens: 64, workers, log },
        obtain: { variants },
        chunks: { retain: async () => {} },
        memory: { open: async () => ({ peakAloneBytes: () => 1 }) },
        memoryBudgetBytes: null,
        reporter: {
          state: async () => {},
          async end(_: unknown, how: string, { reason = "" } = {}) {
            ended.push(`${how}: ${reason}`);
            reported.resolve();
            reported = Promise.withResolvers();
          },
        },
        onServing: () => served.resolve(),
        clock: { now: () => 0 },
        backoff: { firstMs: 1, maxMs: 1, factor: 1 },
        random: () => 0,
        log,
      } as unknown as UpdaterDeps);
      const stopping = new AbortController();
      const running = updater.run(stopping.signal);
      stop = async () => {
        stopping.abort();
        await running;
        await slot.swap(null);
        await workers.close();
      };
    },
  };
}

test("a variant whose thread dies while it serves is loaded anew", async (t) => {
  const { state, threads, hold, nextServed, run } = await device(t);
  const active = await hold("dense-fp32");
  await run({ active });

  const first = await nextServed();
  const pending = serveForEver(first.runtime);
  const refused = assert.rejects(pending, { code: "runtime.crashed" });
  await threads[0]?.terminate();
  await refused;
  const second = await nextServed();
  assert.notEqual(second.runtime, first.runtime);
  assert.equal((await second.runtime.topTokens([1, 2, 3])).length, 3);
  assert.equal(state.value.active?.artifactDigest, active.artifactDigest);
});

test("an active variant with one flipped bit is never served again: the one before it is", async (t) => {
  const { state, folderOf, hold, nextServed, run } = await device(t);
  const [active, previous] = [await hold("dense-fp32"), await hold("dense-q8b128")];
  const weights = await open(join(folderOf(active.artifactDigest), artifactFiles.weights), "r+");
  const byte = Buffer.alloc(1);
  await weights.read(byte, 0, 1, 1000);
  await weights.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, 1000);
  await weights.close();
  await run({ active, previous });

  assert.equal((await nextServed()).artifactDigest, previous.artifactDigest);
  assert.equal(state.value.active?.artifactDigest, previous.artifactDigest);
});

test("a variant that fails its probe set is never served, told once with the share, and what serves goes on", async (t) => {
  const { state, slot, folderOf, ended, reported, hold, nextServed, run } = await device(t);
  const [active, bad] = [await hold("dense-fp32"), await hold("dense-q8b128")];
  const { artifactDigest } = bad;
  const probeFile = join(folderOf(artifactDigest), artifactFiles.probe);
  // Other tokens, and the file as long as it was.
  const others = (tokens: string) => tokens.replace(/\d\b/g, (digit) => (digit === "1" ? "2" : "1"));
  await writeFile(probeFile, (await readFile(probeFile, "utf8")).replace(/(?<="variantTop1":\s*\[)[^\]]*/g, others));
  const [older, generation] = [{ epoch: 0, n: 1 } as const, { epoch: 0, n: 2 } as const];
  const timing = { promptTokens: 8, outputTokens: 4 };
  const variant = { artifactDigest, name: "v", modelName: "m", manifestBytes: 1, totalBytes: 1, timing };
  const end = reported();
  await run({
    active,
    settled: older,
    reported: older,
    assignment: { schemaVersion: 1, deviceId: "d", generation, rolloutId: null, variant, issuedAtMs: 0 },
    vouch: { generation, artifactDigest },
  });

  const serving = await nextServed();
  await end;
  assert.equal(ended.length, 1);
  assert.match(ended[0] ?? "", /^failed: the probe set agrees with the builder at \d+\.\d % of its decisive positions/);
  assert.equal(slot.current, serving, "the active variant was not replaced for a moment");
  const { settled, failures } = state.value;
  assert.deepEqual([settled, state.value.active, failures.length], [generation, active, 1]);
});
