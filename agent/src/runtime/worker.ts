import { dirname } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "@espalier/shared/errors";
import { Cancelled, Decoder, type IsCancelled, type Steps } from "./decoder.ts";
import type { Engine } from "./engine.ts";
import { openEngine } from "./open-engine.ts";
import { dropMapped, trimMemory } from "./trim-memory.ts";
import { Turns } from "./turns.ts";
import type { Call, CallResult, FromWorker, ToWorker, WorkerSetup } from "./worker-protocol.ts";

/** The thread that owns one loaded variant. Calls take turns at it. */

const port = parentPort;
if (port === null) throw new Error("worker.ts runs as a worker thread only");
const send = (message: FromWorker): void => port.postMessage(message);

const setup = workerData as WorkerSetup;
const startMs = performance.now();
try {
  const { engine, fallbackReason } = await openEngine(setup.engineOptions, setup.wanted);
  trimMemory();
  // Kernels have copied their weights: what they were read from only counts as memory.
  dropMapped(dirname(setup.engineOptions.modelFile));
  const { kind, kernel } = engine;
  send({ kind: "ready", engine: kind, kernel, loadMs: performance.now() - startMs, fallbackReason });
  serve(engine);
} catch (error) {
  send({ kind: "load-failed", message: messageOf(error) });
  port.close();
}

function serve(engine: Engine): void {
  const decoder = new Decoder(engine);
  const turns = new Turns();
  port?.on("message", (message: ToWorker) => {
    if (message.kind === "close") {
      // The main thread has cancelled all calls: each ends at its next turn.
      void turns.idle().then(async () => {
        await engine.close();
        port?.close();
      });
      return;
    }
    const { id, cancelFlag, call } = message;
    const steps = begin(decoder, call, () => Atomics.load(cancelFlag, 0) !== 0);
    turns.add(() => takeTurn(id, steps));
  });
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
    else send({ kind: "failed", id, message: messageOf(error) });
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
    case "timeSteps":
      return decoder.timeSteps(call.request, isCancelled);
  }
}
