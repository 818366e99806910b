import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { serveForEver } from "../testing/serve-for-ever.ts";
import { loadRuntime } from "./load-runtime.ts";
import type { RuntimeOptions } from "./runtime.ts";
import { RuntimeWorkers } from "./runtime-workers.ts";

const prompt = [1, 40, 50, 60];
const log = { info: () => {}, warn: () => {} };

/** Threads that are counted when they start. */
function countedWorkers(url = new URL("./worker.ts", import.meta.url)): { workers: RuntimeWorkers; started: Worker[] } {
  const started: Worker[] = [];
  const start = (): Worker => {
    const worker = new Worker(url);
    started.push(worker);
    return worker;
  };
  return { workers: new RuntimeWorkers({ mostIdle: 1, start }), started };
}

async function optionsOf(recipe: "dense-fp32" | "dense-q8b128", workers: RuntimeWorkers): Promise<RuntimeOptions> {
  const { folder, manifest } = await tinyArtifact(recipe);
  return { folder, graph: manifest.graph, threads: 1, contextTokens: 64, workers, log };
}

describe("RuntimeWorkers", () => {
  it("serves swap after swap with two threads, each variant as it is alone", async () => {
    const { workers, started } = countedWorkers();
    const alone = await loadRuntime(await optionsOf("dense-q8b128", new RuntimeWorkers({ mostIdle: 0 })));
    const expected = await alone.topTokens(prompt);
    await alone.close();
    let serving = await loadRuntime(await optionsOf("dense-fp32", workers));
    for (let swap = 0; swap < 4; swap += 1) {
      const next = await loadRuntime(await optionsOf(swap % 2 === 0 ? "dense-q8b128" : "dense-fp32", workers));
      await serving.close();
      await assert.rejects(serving.topTokens(prompt), { code: "runtime.closed" });
      serving = next;
      if (swap % 2 === 0) assert.deepEqual(await serving.topTokens(prompt), expected);
    }
    await serving.close();
    await workers.close();
    assert.equal(started.length, 2);
  });

  it("never uses a thread again in which a variant could not be loaded", async () => {
    const { workers, started } = countedWorkers();
    const options = await optionsOf("dense-fp32", workers);
    const { graph } = options;
    const [layer] = graph.layers;
    assert.ok(layer !== undefined);
    const wrong = { ...options, graph: { ...graph, layers: [...graph.layers, layer] } };
    await assert.rejects(loadRuntime(wrong), { code: "runtime.load-failed" });
    const runtime = await loadRuntime(options);
    assert.equal((await runtime.topTokens(prompt)).length, prompt.length);
    await runtime.close();
    await workers.close();
    assert.equal(started.length, 2);
  });

  it("replaces a thread that dies, idle or serving", async () => {
    const { workers, started } = countedWorkers();
    const options = await optionsOf("dense-fp32", workers);
    await (await loadRuntime(options)).close();
    await started[0]?.terminate();
    const runtime = await loadRuntime(options);
    const pending = assert.rejects(serveForEver(runtime), {
      code: "runtime.crashed",
    });
    await started[1]?.terminate();
    await pending;
    await runtime.close();
    const replaced = await loadRuntime(options);
    assert.equal((await replaced.topTokens(prompt)).length, prompt.length);
    await replaced.close();
    await workers.close();
    assert.equal(started.length, 3);
  });

  it("gives up a thread that hangs while it loads, as soon as the variant isn't wanted any more", async () => {
    // A stand-in: a real graph can't be made to hang.
    const hanging = new URL("data:text/javascript,import%20'node:worker_threads';setInterval(()=>{},1e6)");
    const { workers, started } = countedWorkers(hanging);
    const notWanted = new AbortController();
    const loading = loadRuntime(await optionsOf("dense-fp32", workers), notWanted.signal);
    const refused = assert.rejects(loading, { message: "another variant is assigned" });
    while (started.length === 0) await new Promise(setImmediate);
    const ended = once(started[0] as Worker, "exit");
    notWanted.abort(new Error("another variant is assigned"));
    await Promise.all([refused, ended]);
    await workers.close();
  });
});
