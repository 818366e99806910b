import { once } from "node:events";
import type { ServerResponse } from "node:http";

/** A client that takes nothing for so long is given up. */
export const stalledClientMs = 30_000;

/** The client's connection is open, but it has stopped reading. */
export class StalledClient extends Error {
  override readonly name = "StalledClient";
}

/**
 * Server-sent events (HTML standard, section 9.2), with the API's `[DONE]` at the end. Sending waits for a client that
 * reads slowly, so that what it hasn't taken yet isn't held as text.
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;
  readonly #stalledMs: number;

  /** Aborting `signal` ends a wait for the client. */
  constructor(response: ServerResponse, signal: AbortSignal, stalledMs = stalledClientMs) {
    this.#response = response;
    this.#signal = signal;
    this.#stalledMs = stalledMs;
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    // The client learns at once that it was admitted, though the first token may take its time.
    response.flushHeaders();
  }

  /** Rejects when the signal is aborted, and with `StalledClient` when nothing was taken for `stalledMs`. */
  async send(body: object): Promise<void> {
    if (this.#response.write(`data: ${JSON.stringify(body)}\n\n`)) return;
    const stalled = AbortSignal.timeout(this.#stalledMs);
    await once(this.#response, "drain", { signal: AbortSignal.any([this.#signal, stalled]) }).catch((error) => {
      if (!stalled.aborted) throw error;
      this.#response.destroy();
      throw new StalledClient(`the client took nothing for ${this.#stalledMs} ms`);
    });
  }

  end(): void {
    this.#response.end("data: [DONE]\n\n");
  }

  /** Ends with an error and without `[DONE]`: status and headers are long out. */
  fail(body: object): void {
    this.#response.end(`data: ${JSON.stringify(body)}\n\n`);
  }
}
