import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { artifactFiles, Manifest } from "@espalier/shared/contracts/manifest";
import { startApiServer } from "../../agent/src/api/api-server.ts";
import { ModelSlot, type ServedModel } from "../../agent/src/api/model-slot.ts";
import { createGarbageCollector } from "../../agent/src/measure/collect-garbage.ts";
import { createProcessMemory } from "../../agent/src/measure/process-memory.ts";
import { loadRuntime } from "../../agent/src/runtime/load-runtime.ts";
import { RuntimeWorkers } from "../../agent/src/runtime/runtime-workers.ts";
import { loadTokenizer } from "../../agent/src/text/tokenizer.ts";

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
  readonly folder: string;
}

const send = (message: Listening | Swapped): void => void process.send?.(message);
const slot = new ModelSlot();
const workers = new RuntimeWorkers({ mostIdle: 1 });
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

process.on("message", async ({ folder }: ToServer) => {
  const replaced = slot.swap(await load(folder));
  // Requests on the replaced model end on it.
  await replaced;
  await collectGarbage();
  send({ residentBytes: memory.residentBytes(), failures });
  failures = [];
});
send({ url: server.url });

async function load(folder: string): Promise<ServedModel> {
  const manifest = Manifest.parse(JSON.parse(await readFile(join(folder, artifactFiles.manifest), "utf8")));
  const log = { info: () => {}, warn: (_: object, message: string) => failures.push(message) };
  return {
    modelName: manifest.modelName,
    variantName: manifest.name,
    artifactDigest: digestOfJson(manifest),
    activatedAtMs: Date.now(),
    runtime: await loadRuntime({ folder, graph: manifest.graph, threads: 1, contextTokens: 512, workers, log }),
    tokenizer: await loadTokenizer(folder),
  };
}
