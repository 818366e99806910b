import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { EventStream, StalledClient } from "./event-stream.ts";

/** Over what the kernel takes for a client that doesn't read, after a few of them. */
const body = { text: "x".repeat(1024 * 1024) };

describe("a stream of events to a client that doesn't read", () => {
  const server = createServer();
  let client: Socket;
  let response: ServerResponse;
  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(async () => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });

  async function request(): Promise<void> {
    client?.destroy();
    client = connect((server.address() as AddressInfo).port, "127.0.0.1").pause();
    client.on("error", () => {});
    client.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    [, response] = await once(server, "request");
  }

  async function sendUntilItFails(events: EventStream): Promise<unknown> {
    for (let sent = 0; ; sent += 1) {
      assert.ok(sent < 100, "a hundred megabytes were taken");
      try {
        await events.send(body);
      } catch (error) {
        return error;
      }
    }
  }

  it("waits for it, holding one body at most, and gives it up in the end", async () => {
    await request();
    const error = await sendUntilItFails(new EventStream(response, new AbortController().signal, 200));
    assert.ok(error instanceof StalledClient, String(error));
    assert.ok(response.destroyed);
  });

  it("stops waiting when the request is cancelled", async () => {
    await request();
    const cancel = new AbortController();
    const failed = sendUntilItFails(new EventStream(response, cancel.signal));
    while (!response.writableNeedDrain) await new Promise(setImmediate);
    cancel.abort();
    assert.equal(((await failed) as Error).name, "AbortError");
  });
});
