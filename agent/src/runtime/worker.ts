import { dirname } from "node:path";
import { parentPort } from "node:worker_threads";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import { createGarbageCollector } from "../measure/collect-garbage.ts";
import { Cancelled, Decoder, type IsCancelled, type Steps } from "./decoder.ts";
import type { Engine } from "./engine.ts";
import { openEngine } from "./open-engine.ts";
import { openOnce } from "./open-once.ts";
import { dropMapped, trimMemory } from "./trim-memory.ts";
import { Turns } from "./turns.ts";
import type { Call, CallResult, FromWorker, ToWorker, WorkerSetup } from "./worker-protocol.ts";

/** A thread that owns at most one loaded variant, one after another. Calls take turns at it. */

const port = parentPort;
if (port === null) throw new Error("worker.ts runs as a worker thread only");
const send = (message: FromWorker): void => port.postMessage(message);

interface Loaded {
  readonly engine: Engine;
  readonly decoder: Decoder;
  readonly turns: Turns;
  readonly progress: Int32Array;
}

let loaded: Loaded | null = null;
const garbageCollector = openOnce(createGarbageCollector);

port.on("message", (message: ToWorker) => {
  switch (message.kind) {
    case "load":
      void load(message.setup);
      return;
    case "unload":
      void unload();
      return;
    case "call": {
      if (loaded === null) throw new Error("a call came before its model");
      const { id, cancelFlag, call } = message;
      const { decoder, turns, progress } = loaded;
      const steps = begin(decoder, call, () => Atomics.load(cancelFlag, 0) !== 0);
      turns.add(() => {
        Atomics.add(progress, 0, 1);
        return takeTurn(id, steps);
      });
      return;
    }
  }
});

/** Never rejects. */
async function load({ engineOptions, wanted, progress }: WorkerSetup): Promise<void> {
  const startMs = performance.now();
  try {
    const { engine, fallbackReason } = await openEngine(engineOptions, wanted);
    trimMemory();
    // Ours have dropped what they packed; what ONNX Runtime's own have copied only counts as memory.
    dropMapped(dirname(engineOptions.modelFile));
    const { kind, kernel, cacheElementBytes } = engine;
    loaded = { engine, decoder: new Decoder(engine), turns: new Turns(), progress };
    const loadMs = performance.now() - startMs;
    send({ kind: "ready", engine: kind, kernel, loadMs, cacheElementBytes, fallbackReason });
  } catch (error) {
    send({ kind: "load-failed", message: messageOf(error) });
  }
}

/** Leaves nothing of the model in memory. The main thread has cancelled all calls: each ends at its next turn. */
async function unload(): Promise<void> {
  await loaded?.turns.idle();
  await loaded?.engine.close();
  loaded = null;
  // The KV cache is this thread's own garbage, which no other thread's collection frees.
  await garbageCollector()();
  send({ kind: "unloaded" });
}

/** Never rejects: what goes wrong is the call's answer. */
async function takeTurn(id: number, steps: Steps<CallResult | null>): Promise<boolean> {
  try {
    const { done, value } = await steps.next();
    if (done) send({ kind: "result", id, result: value });
    else if (value !== null) send({ kind: "token", id, token: value });
    return done !== true;
  } catch (error) {
    if (error instanceof Cancelled) send({ kind: "cancelled", id });
    else
      send({ kind: "failed", id, code: error instanceof EspalierError ? error.code : null, message: messageOf(error) });
    return false;
  }
}

function begin(decoder: Decoder, call: Call, isCancelled: IsCancelled): Steps<CallResult | null> {
  switch (call.method) {
    case "generate":
      return decoder.generate(call.request, isCancelled);
    case "logitsAt":
      return decoder.logitsAt(call.tokens, call.indices, isCancelled);
    case "topTokens":
      return decoder.topTokens(call.tokens, isCancelled);
  }
}
