import type { Worker } from "node:worker_threads";
import { type EspalierError, messageOf } from "@espalier/shared/errors";
import type { GeneratedToken } from "./runtime.ts";
import { runtimeError } from "./runtime-error.ts";
import type { Call, CallResult, FromWorker, ToWorker } from "./worker-protocol.ts";

/** What the main thread does with a call's messages. Exactly one of `done` and `failed` comes, as the last. */
interface PendingCall {
  readonly cancelFlag: Int32Array;
  token(token: GeneratedToken): void;
  done(result: CallResult | null): void;
  failed(error: unknown): void;
}

/**
 * The main thread's end of a runtime worker.
 *
 * INVARIANTS: a call is in `#pending` until its promise is settled; once the worker is gone nothing is pending and
 * every later call is refused.
 */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingCall>();
  readonly #exited: Promise<void>;
  #nextId = 0;
  #refusal: EspalierError | null = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once("exit", () => resolve()));
    worker.on("message", (message: FromWorker) => this.#receive(message));
    worker.on("error", (error) => this.#refuse(crashed(error)));
    worker.on("exit", (code) => this.#refuse(crashed(new Error(`exit code ${code}`))));
  }

  /** Sends a call; `onToken` sees generated tokens. Rejects with the signal's reason as soon as it is aborted. */
  call(
    call: Call,
    signal: AbortSignal | undefined,
    onToken: (token: GeneratedToken) => void,
  ): Promise<CallResult | null> {
    if (this.#refusal !== null) return Promise.reject(this.#refusal);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = this.#nextId;
    this.#nextId += 1;
    const cancelFlag = new Int32Array(new SharedArrayBuffer(4));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        Atomics.store(cancelFlag, 0, 1);
        this.#settle(id)?.failed(signal?.reason);
      };
      const release = (): void => signal?.removeEventListener("abort", onAbort);
      this.#pending.set(id, {
        cancelFlag,
        token: onToken,
        done: (result) => {
          release();
          resolve(result);
        },
        failed: (error) => {
          release();
          reject(error);
        },
      });
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#send({ kind: "call", id, cancelFlag, call });
    });
  }

  /** Rejects what is pending, lets the worker free the model, and waits until it is gone. */
  async close(): Promise<void> {
    if (this.#refusal === null) {
      this.#refuse(runtimeError("runtime.closed", "The model was closed while the request waited or ran"));
      this.#send({ kind: "close" });
    }
    await this.#exited;
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "token":
        this.#pending.get(message.id)?.token(message.token);
        return;
      case "result":
        this.#settle(message.id)?.done(message.result);
        return;
      case "failed":
        this.#settle(message.id)?.failed(runtimeError("runtime.run-failed", message.message));
        return;
      case "cancelled":
      case "ready":
      case "load-failed":
        return;
    }
  }

  #settle(id: number): PendingCall | undefined {
    const call = this.#pending.get(id);
    this.#pending.delete(id);
    return call;
  }

  #refuse(reason: EspalierError): void {
    this.#refusal ??= reason;
    for (const id of [...this.#pending.keys()]) {
      const call = this.#settle(id);
      if (call !== undefined) Atomics.store(call.cancelFlag, 0, 1);
      call?.failed(reason);
    }
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

function crashed(cause: unknown): EspalierError {
  return runtimeError("runtime.crashed", `The model's worker thread died: ${messageOf(cause)}`, { cause });
}
