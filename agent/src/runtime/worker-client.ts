import type { Worker } from "node:worker_threads";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { GeneratedToken } from "./runtime.ts";
import { runtimeError } from "./runtime-error.ts";
import { Watchdog } from "./watchdog.ts";
import type { Call, CallResult, FromWorker, ToWorker, WorkerSetup } from "./worker-protocol.ts";

/** What the main thread does with a call's messages. Exactly one of `done` and `failed` comes, as the last. */
interface PendingCall {
  readonly cancelFlag: Int32Array;
  token(token: GeneratedToken): void;
  done(result: CallResult | null): void;
  failed(error: unknown): void;
}

export type Ready = Extract<FromWorker, { kind: "ready" }>;

/** Longer than the slowest device takes to load the largest variant, or for one turn: what is silent for so long hangs. */
const patienceMs = 600_000;

/**
 * The main thread's end of a runtime worker while it has one model.
 *
 * INVARIANTS: a call is in `#pending` until its promise is settled; once the model or the worker is gone nothing is pending
 * and every later call is refused.
 */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #progress = new Int32Array(new SharedArrayBuffer(4));
  readonly #watchdog: Watchdog;
  readonly #pending = new Map<number, PendingCall>();
  readonly #ready = Promise.withResolvers<Ready>();
  /** Settled when no message comes any more: true when the worker is empty and well. */
  readonly #left = Promise.withResolvers<boolean>();
  readonly #crashed = Promise.withResolvers<EspalierError>();
  #nextId = 0;
  #refusal: EspalierError | null = null;

  /** @param worker an empty one */
  constructor(worker: Worker, options: { patienceMs?: number } = {}) {
    this.#worker = worker;
    this.#watchdog = new Watchdog({
      progress: this.#progress,
      patienceMs: options.patienceMs ?? patienceMs,
      onSilence: () => this.#lose("it hangs"),
    });
    this.#ready.promise.catch(() => {});
    const onMessage = (message: FromWorker): void => this.#receive(message);
    const onError = (error: unknown): void => this.#lose(error);
    const onExit = (code: number): void => this.#lose(`exit code ${code}`);
    worker.on("message", onMessage);
    worker.on("error", onError);
    worker.on("exit", onExit);
    void this.#left.promise.then(() => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      worker.off("exit", onExit);
    });
  }

  /** Resolves when the worker died or hangs, unless it had been asked to let the model go before. */
  get crashed(): Promise<EspalierError> {
    return this.#crashed.promise;
  }

  /**
   * Loads the model. Rejects with `runtime.load-failed`, `runtime.crashed` or the signal's reason; the worker is of no use
   * then.
   */
  async load(setup: Omit<WorkerSetup, "progress">, signal: AbortSignal | undefined): Promise<Ready> {
    signal?.throwIfAborted();
    const onAbort = (): void => this.#ready.reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#watchdog.expect();
    try {
      this.#send({ kind: "load", setup: { ...setup, progress: this.#progress } });
      return await this.#ready.promise;
    } finally {
      this.#watchdog.done();
      signal?.removeEventListener("abort", onAbort);
    }
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
      this.#watchdog.expect();
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

  /**
   * Rejects what is pending and lets the worker free the model. Resolves to whether the worker can be used for another
   * one: false when it died, or doesn't answer in time.
   */
  async close(): Promise<boolean> {
    if (this.#refusal === null) {
      this.#refuse(runtimeError("runtime.closed", "The model was closed while the request waited or ran"));
      this.#send({ kind: "unload" });
    }
    this.#watchdog.expect();
    try {
      return await this.#left.promise;
    } finally {
      this.#watchdog.done();
    }
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "ready":
        this.#ready.resolve(message);
        return;
      case "load-failed":
        this.#ready.reject(runtimeError("runtime.load-failed", message.message));
        return;
      case "unloaded":
        this.#left.resolve(true);
        return;
      case "token":
        this.#pending.get(message.id)?.token(message.token);
        return;
      case "result":
        this.#settle(message.id)?.done(message.result);
        return;
      case "failed":
        this.#settle(message.id)?.failed(new EspalierError(message.code ?? "runtime.run-failed", message.message));
        return;
      case "cancelled":
        return;
    }
  }

  #settle(id: number): PendingCall | undefined {
    const call = this.#pending.get(id);
    if (this.#pending.delete(id)) this.#watchdog.done();
    return call;
  }

  /** The worker is of no use any more. */
  #lose(cause: unknown): void {
    const error = runtimeError("runtime.crashed", `The model's worker thread is lost: ${messageOf(cause)}`, { cause });
    if (this.#refusal === null) this.#crashed.resolve(error);
    this.#refuse(error);
    this.#left.resolve(false);
  }

  #refuse(reason: EspalierError): void {
    this.#refusal ??= reason;
    this.#ready.reject(reason);
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
