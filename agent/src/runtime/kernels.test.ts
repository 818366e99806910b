import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TestArtifact, tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { kernelLibraryFile, openKernelLibrary } from "./kernel-library.ts";
import { probeCache, probeKernels } from "./kernel-probe.ts";
import { loadRuntime } from "./load-runtime.ts";
import { lowerGraph } from "./lower-graph.ts";
import { summarizeOnnx } from "./onnx-summary.ts";
import { openOrtApi } from "./ort-c-api.ts";
import { holdOrtLibrary, openOrtLibrary } from "./ort-library.ts";
import type { Runtime } from "./runtime.ts";
import { greedy } from "./sampling.ts";

const built = existsSync(kernelLibraryFile());
const skip = built ? false : `there is no ${kernelLibraryFile()}`;

/** Those of this architecture; a machine may lack the instructions of some. */
const names = process.arch === "arm64" ? ["neon-dot", "portable"] : ["avx512-vnni", "avx2", "portable"];

describe("a graph for the agent's kernels", () => {
  const operatorsOf = async (recipe: "dense-fp32" | "dense-q4b32" | "dense-q8b128") => {
    const { folder } = await tinyArtifact(recipe);
    const lowered = lowerGraph(readFileSync(join(folder, "model.onnx")), null);
    return lowered === null ? null : summarizeOnnx(lowered.bytes);
  };

  it("has them for every quantized product, gates and norms as one operator with theirs", async () => {
    for (const recipe of ["dense-q4b32", "dense-q8b128"] as const) {
      const summary = await operatorsOf(recipe);
      const { operators, opsets } = summary ?? assert.fail("nothing was replaced");
      for (const ours of ["Linear", "NormedLinear", "NormedGatedLinear", "Attention"])
        assert.ok(operators.has(`espalier:${ours}`), ours);
      for (const gone of ["com.microsoft:MatMulNBits", ":Split", ":Sigmoid", ":Mul"]) assert.ok(!operators.has(gone));
      assert.equal(opsets.get("espalier"), 1);
    }
  });

  it("has a cache of int8 where there are scales, or none at all", async () => {
    const { folder, manifest } = await tinyArtifact("dense-q4b32");
    const stock = readFileSync(join(folder, "model.onnx"));
    const scales = manifest.graph.layers.map(({ kvHeads, headSize }, layer) => {
      const ones = new Float32Array(kvHeads * headSize).fill(1);
      return { past: `past_key_values.${layer}.key`, keyScales: ones, valueScales: ones };
    });
    const lowered = lowerGraph(stock, scales) ?? assert.fail("nothing was replaced");
    assert.equal(lowered.cache, "int8");
    const { operators } = summarizeOnnx(lowered.bytes);
    assert.ok(operators.has("espalier:Int8Attention") && !operators.has("espalier:Attention"));
    assert.throws(() => lowerGraph(stock, scales.slice(1)), /no scales for past_key_values\.0\.key/);
  });

  it("keeps its weights where they are", async () => {
    const { folder } = await tinyArtifact("dense-q8b128");
    const stock = readFileSync(join(folder, "model.onnx"));
    assert.deepEqual(
      summarizeOnnx(lowerGraph(stock, null)?.bytes ?? stock).externalData,
      summarizeOnnx(stock).externalData,
    );
  });

  it("isn't made where nothing is quantized", async () => {
    assert.equal(await operatorsOf("dense-fp32"), null);
  });
});

describe("the agent's kernels", { skip }, () => {
  before(() => holdOrtLibrary());

  for (const name of names) {
    it(`${name}: agrees with ONNX Runtime's own on every format and in attention, for one token and for many`, (test) => {
      try {
        openKernelLibrary(name);
      } catch (error) {
        test.skip((error as Error).message);
        return;
      }
      const [api, kernels] = [openOrtApi(openOrtLibrary()), openKernelLibrary(name)];
      probeKernels(api, kernels);
      probeCache(api, kernels);
    });
  }

  it("are refused by a name that there is none of", () => {
    assert.throws(() => openKernelLibrary("abacus"), /can't run abacus/);
  });

  it("are found out when they compute something else", () => {
    const api = openOrtApi(openOrtLibrary());
    const kernels = openKernelLibrary("portable");
    // A kernel that multiplies with other weights than it was given.
    const strange = { ...kernels, register: () => {} };
    assert.throws(() => probeKernels(api, strange), /espalier/);
    assert.throws(() => probeCache(api, strange), /espalier/);
  });
});

describe("a variant on the agent's kernels", { skip }, () => {
  let artifact: TestArtifact;
  let calibrated: string;
  const runtimes = new Map<string, Runtime>();
  const load = (kernel: string, kvCache?: "int8", threads = 2): Promise<Runtime> =>
    loadRuntime({
      folder: kvCache === undefined ? artifact.folder : calibrated,
      graph: artifact.manifest.graph,
      threads,
      contextTokens: 512,
      kernel,
      kvCache,
      log: { info: () => {}, warn: () => {} },
    });
  before(async () => {
    artifact = await tinyArtifact("dense-q4b32");
    calibrated = await mkdtemp(join(tmpdir(), "espalier-kv-"));
    await cp(artifact.folder, calibrated, { recursive: true });
    const heads = ({ kvHeads, headSize }: { kvHeads: number; headSize: number }) =>
      Array.from({ length: kvHeads }, () => Array.from({ length: headSize }, () => 0.06));
    const layers = artifact.manifest.graph.layers.map((layer) => ({
      keyScales: heads(layer),
      valueScales: heads(layer),
    }));
    await writeFile(join(calibrated, "kv-cache.json"), JSON.stringify({ format: "int8", layers }));
    for (const kernel of ["auto", "stock"]) runtimes.set(kernel, await load(kernel));
    runtimes.set("int8", await load("auto", "int8"));
    runtimes.set("stock, int8", await load("stock", "int8"));
  });
  after(async () => {
    for (const runtime of runtimes.values()) await runtime.close();
    await rm(calibrated, { recursive: true, force: true });
  });

  it("says which", () => {
    assert.ok(names.includes(runtimes.get("auto")?.kernel ?? ""));
    assert.equal(runtimes.get("stock")?.kernel, null);
  });

  it("gives the logits that ONNX Runtime's own give", async () => {
    const tokens = Array.from({ length: 150 }, (_, i) => (i * 31) % 1000);
    const indices = Array.from({ length: artifact.manifest.graph.vocabularySize }, (_, i) => i);
    const [ours, stock] = await Promise.all(
      ["auto", "stock"].map(async (kernel) => runtimes.get(kernel)?.logitsAt(tokens, indices) ?? assert.fail()),
    );
    assert.ok(cosine(ours ?? [], stock ?? []) > 0.999);
  });

  it("keeps what its cache holds in bytes where it is calibrated for that", async () => {
    const bytes = Object.fromEntries([...runtimes].map(([name, { cacheElementBytes }]) => [name, cacheElementBytes]));
    assert.deepEqual(bytes, { auto: 2, stock: 4, int8: 1, "stock, int8": 4 });
    // Behind a prefill of two pieces, so that what is read was rounded, and differs from what was not.
    const tokens = Array.from({ length: 200 }, (_, i) => (i * 31) % 1000);
    const indices = Array.from({ length: artifact.manifest.graph.vocabularySize }, (_, i) => i);
    const [halves, int8] = await Promise.all(
      ["auto", "int8"].map(async (name) => runtimes.get(name)?.logitsAt(tokens, indices) ?? assert.fail()),
    );
    const similarity = cosine(halves ?? [], int8 ?? []);
    assert.ok(similarity > 0.99 && similarity < 1, `${similarity}`);
  });

  it("gives the same logits on any number of threads, and leaves none behind", {
    skip: process.platform !== "linux",
  }, async () => {
    const own = async (): Promise<number> => {
      const threads = await readdir("/proc/self/task");
      const names = await Promise.all(
        threads.map((thread) => readFile(`/proc/self/task/${thread}/comm`, "utf8").catch(() => "")),
      );
      return names.filter((name) => name.trim() === "espalier-team").length;
    };
    const before = await own();
    const tokens = Array.from({ length: 150 }, (_, i) => (i * 31) % 1000);
    const indices = Array.from({ length: artifact.manifest.graph.vocabularySize }, (_, i) => i);
    const all = await Promise.all([1, 2, 3, 5].map((threads) => load("auto", "int8", threads)));
    assert.equal((await own()) - before, 1 + 2 + 4);
    const logits = await Promise.all(all.map((runtime) => runtime.logitsAt(tokens, indices)));
    for (const other of logits) assert.deepEqual(other, logits[0]);
    for (const runtime of all) await runtime.close();
    // A thread that has been waited for can be listed a moment longer.
    while ((await own()) > before);
  });

  it("gives equal tokens for equal seeds", async () => {
    const request = {
      tokens: [1, 40, 50, 60],
      maxTokens: 24,
      sampling: { ...greedy, temperature: 1, seed: 7 },
      stopTokenIds: [],
    };
    const once = async () => {
      const tokens: number[] = [];
      for await (const { tokenId } of runtimes.get("auto")?.generate(request) ?? assert.fail()) tokens.push(tokenId);
      return tokens;
    };
    assert.deepEqual(await once(), await once());
  });
});

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    const [x = 0, y = 0] = [a[i], b[i]];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return dot / Math.sqrt(aa * bb);
}
