import assert from "node:assert/strict";
import { copyFile, link, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { type TestArtifact, tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { serveForEver } from "../testing/serve-for-ever.ts";
import { loadRuntime } from "./load-runtime.ts";
import type { EngineKind, GenerateRequest, Runtime } from "./runtime.ts";
import { greedy } from "./sampling.ts";

const log = { info: () => {}, warn: () => {} };
const prompt = [1, 40, 50, 60, 70, 80, 90];

function load(artifact: TestArtifact, engine: EngineKind | "auto" = "auto", contextTokens = 512): Promise<Runtime> {
  return loadRuntime({
    folder: artifact.folder,
    graph: artifact.manifest.graph,
    threads: 1,
    contextTokens,
    engine,
    log,
  });
}

async function tokensOf(runtime: Runtime, request: Partial<GenerateRequest> = {}): Promise<number[]> {
  const tokens: number[] = [];
  const whole = { tokens: prompt, maxTokens: 24, sampling: greedy, stopTokenIds: [], ...request };
  for await (const { tokenId } of runtime.generate(whole)) tokens.push(tokenId);
  return tokens;
}

/** Logits after `tokens`, from a run of the whole sequence with an empty cache: nothing of the runtime is used. */
async function referenceLogits(artifact: TestArtifact, tokens: readonly number[]): Promise<Float32Array> {
  const { graph } = artifact.manifest;
  const session = await InferenceSession.create(join(artifact.folder, graph.file), { intraOpNumThreads: 1 });
  const feeds: Record<string, Tensor> = {
    input_ids: new Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
    logits_positions: new Tensor("int64", BigInt64Array.of(BigInt(tokens.length - 1)), [1]),
    seqlens_k: new Tensor("int32", Int32Array.of(tokens.length - 1), [1]),
    total_sequence_length: new Tensor("int32", Int32Array.of(tokens.length), []),
  };
  for (const [layer, { kvHeads, headSize }] of graph.layers.entries()) {
    for (const part of ["key", "value"]) {
      feeds[`past_key_values.${layer}.${part}`] = new Tensor("float32", new Float32Array(0), [1, kvHeads, 0, headSize]);
    }
  }
  const { logits } = await session.run(feeds, ["logits"]);
  await session.release();
  return logits!.data as Float32Array;
}

describe("a loaded runtime", () => {
  let artifact: TestArtifact;
  let runtime: Runtime;
  before(async () => {
    artifact = await tinyArtifact("dense-fp32");
    runtime = await load(artifact);
  });
  after(() => runtime.close());

  it("uses the C API on this machine", () => {
    assert.equal(runtime.engine, "ffi");
    assert.ok(runtime.loadMs > 0);
  });

  it("generates greedily what whole-sequence runs choose step by step", async () => {
    const expected: number[] = [];
    for (let step = 0; step < 8; step += 1) {
      const logits = await referenceLogits(artifact, [...prompt, ...expected]);
      expected.push(logits.indexOf(Math.max(...logits)));
    }
    assert.deepEqual(await tokensOf(runtime, { maxTokens: 8 }), expected);
  });

  it("gives the logits of a whole-sequence run", async () => {
    const expected = await referenceLogits(artifact, prompt);
    const indices = [0, 5, 17, artifact.manifest.graph.vocabularySize - 1];
    const actual = await runtime.logitsAt(prompt, indices);
    for (const [i, index] of indices.entries()) assert.ok(Math.abs(actual[i]! - expected[index]!) < 1e-4);
  });

  it("gives the same tokens through both engines", async () => {
    const binding = await load(artifact, "binding");
    try {
      assert.equal(binding.engine, "binding");
      assert.deepEqual(await tokensOf(binding), await tokensOf(runtime));
      const tokens = Array.from({ length: 40 }, (_, i) => (i * 37) % 1000);
      assert.deepEqual(await binding.topTokens(tokens), await runtime.topTokens(tokens));
    } finally {
      await binding.close();
    }
  });

  it("prefills in pieces as it would at once", async () => {
    const long = Array.from({ length: 300 }, (_, i) => (i * 31) % 1000);
    const expected = await referenceLogits(artifact, long);
    const actual = await runtime.logitsAt(long, [...expected.keys()]);
    const range = Math.max(...expected) - Math.min(...expected);
    for (const [index, value] of expected.entries()) assert.ok(Math.abs(actual[index]! - value) < 1e-4 * range);
  });

  it("scores every position as generation would choose", async () => {
    const generated = await tokensOf(runtime);
    const top = await runtime.topTokens([...prompt, ...generated]);
    assert.deepEqual([...top.slice(prompt.length - 1, -1)], generated);
  });

  it("leaves nothing of one request in the next", async () => {
    const fresh = await tokensOf(runtime);
    await tokensOf(runtime, { tokens: [1, 9, 8, 7, 6, 5, 4, 3, 2], maxTokens: 60 });
    assert.deepEqual(await tokensOf(runtime), fresh);
  });

  it("ends with a stop token and says so", async () => {
    const [first, second, third] = await tokensOf(runtime);
    assert.ok(first !== third && second !== third, "the fixture's answer must not repeat at once");
    const ends: string[] = [];
    const request = { tokens: prompt, maxTokens: 24, sampling: greedy, stopTokenIds: [third!] };
    for await (const token of runtime.generate(request)) ends.push(`${token.tokenId}:${token.finish}`);
    assert.deepEqual(ends, [`${first}:null`, `${second}:null`, `${third}:stop`]);
  });

  it("gives equal answers for equal seeds", async () => {
    const sampling = { ...greedy, temperature: 1.5, seed: 11 };
    const once = await tokensOf(runtime, { sampling });
    assert.deepEqual(await tokensOf(runtime, { sampling }), once);
    assert.notDeepEqual(await tokensOf(runtime, { sampling: { ...sampling, seed: 12 } }), once);
  });

  it("gives calls turns, so that a short one ends before a long one that came first", async () => {
    const order: string[] = [];
    await Promise.all([
      tokensOf(runtime, { maxTokens: 200 }).then(() => order.push("long")),
      tokensOf(runtime, { maxTokens: 5 }).then(() => order.push("short")),
      runtime.logitsAt(prompt, [0]).then(() => order.push("single")),
    ]);
    assert.deepEqual(order, ["single", "short", "long"]);
  });

  it("answers many requests at once as it answers each alone, also when they don't fit together", async () => {
    const requests = Array.from({ length: 6 }, (_, i) => ({
      tokens: Array.from({ length: 20 + 30 * i }, (_, j) => (j * (31 + i)) % 1000),
      maxTokens: 150,
    }));
    const alone: number[][] = [];
    for (const request of requests) alone.push(await tokensOf(runtime, request));
    assert.deepEqual(await Promise.all(requests.map((request) => tokensOf(runtime, request))), alone);
    const shared = await Promise.all(requests.map((request) => tokensOf(runtime, { ...request, reusePrefix: true })));
    assert.deepEqual(shared, alone);
  });

  it("computes only what is new of a chat's next turn", async () => {
    const fresh = await load(artifact);
    try {
      const reused: (number | undefined)[] = [];
      const turn = async (tokens: readonly number[]) => {
        const answer: number[] = [];
        const request = { tokens, maxTokens: 30, sampling: greedy, stopTokenIds: [], reusePrefix: true };
        for await (const { tokenId, reusedTokens } of fresh.generate(request)) {
          if (answer.length === 0) reused.push(reusedTokens);
          answer.push(tokenId);
        }
        return answer;
      };
      const first = await turn(prompt);
      const second = [...prompt, ...first, 40, 50];
      assert.deepEqual(await turn(second), await tokensOf(runtime, { tokens: second, maxTokens: 30 }));
      await turn(second);
      // The answer's last token was never run; the prompt's last one always is.
      assert.deepEqual(reused, [0, prompt.length + 29, second.length - 1]);
    } finally {
      await fresh.close();
    }
  });

  it("refuses what doesn't fit, with the numbers", async () => {
    await assert.rejects(tokensOf(runtime, { maxTokens: 510 }), {
      code: "runtime.context-overflow",
      message: /7 .* 510 .* 512/,
    });
    await assert.rejects(runtime.topTokens([5, 99_999]), { code: "runtime.invalid-request", message: /99999/ });
    await assert.rejects(runtime.logitsAt([], [0]), { code: "runtime.invalid-request" });
  });
});

describe("cancelling", () => {
  let runtime: Runtime;
  before(async () => {
    runtime = await load(await tinyArtifact("dense-fp32"));
  });
  after(() => runtime.close());

  it("rejects with the signal's reason and leaves the event loop and the next call alone", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    let ticks = 0;
    const ticking = setInterval(() => {
      ticks += 1;
      if (ticks === 3) controller.abort(reason);
    }, 1);
    const endless = serveForEver(runtime, controller.signal);
    await assert.rejects(endless, reason);
    clearInterval(ticking);
    assert.equal(ticks, 3);
    assert.equal((await tokensOf(runtime, { maxTokens: 3 })).length, 3);
  });

  it("ends generation when the consumer leaves its loop", async () => {
    for await (const _ of runtime.generate({ tokens: prompt, maxTokens: 400, sampling: greedy, stopTokenIds: [] }))
      break;
    assert.equal((await tokensOf(runtime, { maxTokens: 2 })).length, 2);
  });

  it("refuses a call whose signal is already aborted", async () => {
    await assert.rejects(runtime.topTokens(prompt, AbortSignal.abort(new Error("late"))), { message: "late" });
  });
});

describe("closing", () => {
  it("rejects what is pending and what comes later", async () => {
    const runtime = await load(await tinyArtifact("dense-fp32"));
    const pending = serveForEver(runtime);
    const refused = assert.rejects(pending, { code: "runtime.closed" });
    await runtime.close();
    await refused;
    await assert.rejects(runtime.topTokens(prompt), { code: "runtime.closed" });
    await runtime.close();
  });

  it("lets another runtime of the same process run on", async () => {
    const artifact = await tinyArtifact("dense-fp32");
    const [kept, closed] = await Promise.all([load(artifact), load(artifact)]);
    const before = await tokensOf(kept);
    await closed.close();
    assert.deepEqual(await tokensOf(kept), before);
    await kept.close();
  });
});

describe("loading", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "espalier-load-"));
  });
  after(() => rm(folder, { recursive: true }));

  it("refuses external data that is a link or has a second name", async () => {
    const artifact = await tinyArtifact("dense-fp32");
    const { graph } = artifact.manifest;
    const options = { folder, graph, threads: 1, contextTokens: 64, log };
    const data = `${graph.file}.data`;
    await copyFile(join(artifact.folder, graph.file), join(folder, graph.file));
    await symlink(join(artifact.folder, data), join(folder, data));
    await assert.rejects(loadRuntime(options), { code: "runtime.unsafe-file" });
    await rm(join(folder, data));
    await copyFile(join(artifact.folder, data), join(folder, data));
    await link(join(folder, data), join(folder, "second-name"));
    await assert.rejects(loadRuntime(options), { code: "runtime.unsafe-file" });
    await rm(join(folder, "second-name"));
    await (await loadRuntime(options)).close();
  });

  it("loads a graph in a folder of its own, as a measurement kit has it", async () => {
    const artifact = await tinyArtifact("dense-fp32");
    const { graph } = artifact.manifest;
    const file = `q4b128a/d6f384/${graph.file}`;
    await mkdir(join(folder, "q4b128a/d6f384"), { recursive: true });
    for (const suffix of ["", ".data"]) {
      await copyFile(join(artifact.folder, `${graph.file}${suffix}`), join(folder, `${file}${suffix}`));
    }
    const options = { folder, graph: { ...graph, file }, threads: 1, contextTokens: 64, log };
    await (await loadRuntime(options)).close();
  });

  it("reports a file that is no graph, or a graph that isn't of the stated shape", async () => {
    const artifact = await tinyArtifact("dense-fp32");
    const { graph } = artifact.manifest;
    const options = { folder: artifact.folder, threads: 1, contextTokens: 64, log };
    const oneLayerMore = { ...graph, layers: [...graph.layers, graph.layers[0]!] };
    await assert.rejects(loadRuntime({ ...options, graph: oneLayerMore }), { code: "runtime.load-failed" });
    await assert.rejects(loadRuntime({ ...options, graph: { ...graph, file: "tokenizer.json" }, dataFiles: [] }), {
      code: "runtime.unsafe-graph",
    });
  });
});
