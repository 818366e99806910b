import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "@espalier/shared/errors";
import { Cancelled, Decoder, type IsCancelled } from "./decoder.ts";
import type { Engine } from "./engine.ts";
import { openEngine } from "./open-engine.ts";
import { trimMemory } from "./trim-memory.ts";
import type { Call, CallResult, FromWorker, ToWorker, WorkerSetup } from "./worker-protocol.ts";

/** The thread that owns one loaded variant. It serves calls one after another in the order they arrive. */

const port = parentPort;
if (port === null) throw new Error("worker.ts runs as a worker thread only");
const send = (message: FromWorker): void => port.postMessage(message);

const setup = workerData as WorkerSetup;
const startMs = performance.now();
try {
  const { engine, fallbackReason } = await openEngine(setup.engineOptions, setup.wanted);
  trimMemory();
  send({ kind: "ready", engine: engine.kind, loadMs: performance.now() - startMs, fallbackReason });
  serve(engine);
} catch (error) {
  send({ kind: "load-failed", message: messageOf(error) });
  port.close();
}

function serve(engine: Engine): void {
  const decoder = new Decoder(engine);
  let queue: Promise<void> = Promise.resolve();
  port?.on("message", (message: ToWorker) => {
    if (message.kind === "close") {
      queue = queue.then(async () => {
        await engine.close();
        port?.close();
      });
      return;
    }
    const { id, cancelFlag, call } = message;
    const isCancelled = (): boolean => Atomics.load(cancelFlag, 0) !== 0;
    queue = queue.then(() => answer(decoder, id, call, isCancelled));
  });
}

/** Never rejects: what goes wrong is the call's answer. */
async function answer(decoder: Decoder, id: number, call: Call, isCancelled: IsCancelled): Promise<void> {
  try {
    send({ kind: "result", id, result: await perform(decoder, id, call, isCancelled) });
  } catch (error) {
    if (error instanceof Cancelled) send({ kind: "cancelled", id });
    else send({ kind: "failed", id, message: messageOf(error) });
  }
}

async function perform(decoder: Decoder, id: number, call: Call, isCancelled: IsCancelled): Promise<CallResult | null> {
  switch (call.method) {
    case "generate":
      for await (const token of decoder.generate(call.request, isCancelled)) send({ kind: "token", id, token });
      return null;
    case "logitsAt":
      return decoder.logitsAt(call.tokens, call.indices, isCancelled);
    case "topTokens":
      return decoder.topTokens(call.tokens, isCancelled);
    case "timeSteps":
      return decoder.timeSteps(call.request, isCancelled);
  }
}
