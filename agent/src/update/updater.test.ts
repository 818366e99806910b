import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { hex } from "@espalier/shared/nats-names";
import { tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { ModelSlot, type ServedModel } from "../api/model-slot.ts";
import { openVariantStore } from "../download/variant-store.ts";
import { RuntimeWorkers } from "../runtime/runtime-workers.ts";
import { serveForEver } from "../testing/serve-for-ever.ts";
import { nothingProven, openStateStore } from "./agent-state.ts";
import { createUpdater, type UpdaterDeps } from "./updater.ts";

test("a variant whose thread dies while it serves is loaded anew", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "espalier-updater-"));
  t.after(() => rm(root, { recursive: true }));
  const { folder, manifest } = await tinyArtifact("dense-fp32");
  const artifactDigest = digestOfJson(manifest);
  await mkdir(join(root, "variants"));
  await cp(folder, join(root, "variants", hex(artifactDigest)), { recursive: true });
  const variants = await openVariantStore(join(root, "variants"));
  const log = { info: () => {}, warn: () => {} };
  const state = await openStateStore(join(root, "state.json"), log);
  const active = { artifactDigest, name: "v", modelName: "m", activatedAtMs: 0, proof: nothingProven };
  await state.change((now) => ({ ...now, active }));

  const threads: Worker[] = [];
  const start = (): Worker => {
    const worker = new Worker(new URL("../runtime/worker.ts", import.meta.url));
    threads.push(worker);
    return worker;
  };
  const workers = new RuntimeWorkers({ mostIdle: 1, start });
  const slot = new ModelSlot();
  let served = Promise.withResolvers<void>();
  const nextServed = async (): Promise<ServedModel> => {
    await served.promise;
    served = Promise.withResolvers();
    assert.ok(slot.current !== null);
    return slot.current;
  };
  // Restoring needs no coordinator, no download and no measurement.
  const updater = createUpdater({
    state,
    slot,
    load: { variants, threads: 1, spinning: false, contextTokens: 64, workers, log },
    obtain: { variants },
    onServing: () => served.resolve(),
    clock: { now: () => 0 },
    backoff: { firstMs: 1, maxMs: 1, factor: 1 },
    random: () => 0,
    log,
  } as unknown as UpdaterDeps);
  const stop = new AbortController();
  const running = updater.run(stop.signal);

  const first = await nextServed();
  const pending = serveForEver(first.runtime);
  const refused = assert.rejects(pending, { code: "runtime.crashed" });
  await threads[0]?.terminate();
  await refused;
  const second = await nextServed();
  assert.notEqual(second.runtime, first.runtime);
  assert.equal((await second.runtime.topTokens([1, 2, 3])).length, 3);
  assert.equal(state.value.active?.artifactDigest, artifactDigest);

  stop.abort();
  await running;
  await slot.swap(null);
  await workers.close();
});
