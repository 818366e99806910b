import type { ServerResponse } from "node:http";

/** Server-sent events (HTML standard, section 9.2), with the API's `[DONE]` at the end. */
export class EventStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    // The client learns at once that it was admitted, though the first token may take its time.
    response.flushHeaders();
  }

  send(body: object): void {
    this.#response.write(`data: ${JSON.stringify(body)}\n\n`);
  }

  end(): void {
    this.#response.end("data: [DONE]\n\n");
  }

  /** Ends with an error and without `[DONE]`: status and headers are long out. */
  fail(body: object): void {
    this.#response.end(`data: ${JSON.stringify(body)}\n\n`);
  }
}
