import { digestOfJson } from "@espalier/shared/contracts/digest";
import { startApiServer } from "../../agent/src/api/api-server.ts";
import { ModelSlot, type ServedModel } from "../../agent/src/api/model-slot.ts";
import { createGarbageCollector } from "../../agent/src/measure/collect-garbage.ts";
import { createProcessMemory } from "../../agent/src/measure/process-memory.ts";
import { loadRuntime } from "../../agent/src/runtime/load-runtime.ts";
import { loadTokenizer } from "../../agent/src/text/tokenizer.ts";
import { type TinyRecipe, tinyArtifact } from "../../test/fixtures/tiny-artifact.ts";

/** The first message. */
export interface Listening {
  readonly url: string;
}

/** After each swap: the memory that is held, and what went wrong since the last one. */
export interface Swapped {
  readonly residentBytes: number;
  readonly failures: readonly string[];
}

/** Asked to serve another variant. */
export interface ToServer {
  readonly recipe: TinyRecipe;
}

const send = (message: Listening | Swapped): void => void process.send?.(message);
const slot = new ModelSlot();
const memory = createProcessMemory();
const collectGarbage = createGarbageCollector();
let failures: string[] = [];
const server = await startApiServer(
  {
    slot,
    maxRequests: 8,
    apiKey: null,
    nowMs: () => performance.now(),
    onRequestDone: ({ outcome }) => {
      if (outcome === "failed") failures.push("a request failed");
    },
    extraRoutes: {},
    log: { error: (fields, message) => failures.push(`${message}: ${JSON.stringify(fields)}`) },
  },
  0,
);

process.on("message", async ({ recipe }: ToServer) => {
  const replaced = slot.swap(await load(recipe));
  // Requests on the replaced model end on it.
  await replaced;
  await collectGarbage();
  send({ residentBytes: memory.residentBytes(), failures });
  failures = [];
});
send({ url: server.url });

async function load(recipe: TinyRecipe): Promise<ServedModel> {
  const { folder, manifest } = await tinyArtifact(recipe);
  const log = { info: () => {}, warn: (_: object, message: string) => failures.push(message) };
  return {
    modelName: "tiny",
    variantName: recipe,
    artifactDigest: digestOfJson(manifest),
    activatedAtMs: Date.now(),
    runtime: await loadRuntime({ folder, graph: manifest.graph, threads: 1, contextTokens: 512, log }),
    tokenizer: await loadTokenizer(folder),
  };
}
