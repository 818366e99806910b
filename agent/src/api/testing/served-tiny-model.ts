import { digestOfJson } from "@espalier/shared/contracts/digest";
import { tinyArtifact } from "../../../../test/fixtures/tiny-artifact.ts";
import { loadRuntime } from "../../runtime/load-runtime.ts";
import { loadTokenizer } from "../../text/tokenizer.ts";
import { type ApiServer, startApiServer } from "../api-server.ts";
import { ModelSlot, type ServedModel } from "../model-slot.ts";
import type { RequestObservation } from "../observation.ts";

export interface ServedTinyModel {
  readonly server: ApiServer;
  readonly slot: ModelSlot;
  readonly observations: RequestObservation[];
  /** Resolves with the next observation. */
  nextObservation(): Promise<RequestObservation>;
  /** From now on requests wait before their first token, as behind others; the result lets them go. */
  occupy(): () => void;
  close(): Promise<void>;
}

/** The bundled model behind the real API server on a free port. */
export async function serveTinyModel(
  options: { maxRequests?: number; apiKey?: string } = {},
): Promise<ServedTinyModel> {
  const slot = new ModelSlot();
  let free = Promise.resolve();
  const model = await loadTinyModel();
  const generate = model.runtime.generate.bind(model.runtime);
  model.runtime.generate = async function* (request, signal) {
    const left = Promise.withResolvers<never>();
    signal?.addEventListener("abort", () => left.reject(signal.reason), { once: true });
    await Promise.race([free, left.promise]);
    yield* generate(request, signal);
  };
  await slot.swap(model);
  const observations: RequestObservation[] = [];
  let waiting: ((observation: RequestObservation) => void)[] = [];
  const server = await startApiServer(
    {
      slot,
      maxRequests: options.maxRequests ?? 4,
      apiKey: options.apiKey ?? null,
      nowMs: () => performance.now(),
      onRequestDone: (observation) => {
        observations.push(observation);
        for (const resolve of waiting) resolve(observation);
        waiting = [];
      },
      extraRoutes: { "/metrics": async (_request, response) => void response.end("metrics here") },
      log: { error: () => {} },
    },
    0,
  );
  return {
    server,
    slot,
    observations,
    nextObservation: () => new Promise((resolve) => waiting.push(resolve)),
    occupy: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      free = promise;
      return resolve;
    },
    close: async () => {
      await server.close();
      await slot.swap(null);
    },
  };
}

export async function loadTinyModel(variantName = "dense-fp32"): Promise<ServedModel> {
  const { folder, manifest } = await tinyArtifact("dense-fp32");
  const log = { info: () => {}, warn: () => {} };
  return {
    modelName: "tiny",
    variantName,
    artifactDigest: digestOfJson(manifest),
    activatedAtMs: 1_700_000_000_000,
    runtime: await loadRuntime({ folder, graph: manifest.graph, threads: 1, contextTokens: 512, log }),
    tokenizer: await loadTokenizer(folder),
  };
}
