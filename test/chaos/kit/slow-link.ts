import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A TCP link to a broker that can be slow, stand still or break. */
export interface SlowLink {
  readonly url: string;
  /** Bytes per second towards the device, of all connections together; 0 stands still, Infinity is no limit. */
  bytesPerSecond: number;
  /** Bytes that passed towards the device. */
  readonly passedBytes: number;
  /** Cuts every connection; new ones are let in. */
  cut(): void;
  stop(): Promise<void>;
}

const tickMs = 20;

/** Passes bytes between devices and the server at `url` (nats://host:port), in order and unchanged. */
export async function startSlowLink(url: string, bytesPerSecond = Number.POSITIVE_INFINITY): Promise<SlowLink> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let passedBytes = 0;
  const server = createServer((device) => {
    const broker = connect(Number(port), hostname);
    for (const socket of [device, broker]) {
      sockets.add(socket.setNoDelay());
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        device.destroy();
        broker.destroy();
      });
    }
    device.pipe(broker);
    pass(broker, device).catch(() => device.destroy());
  });

  async function pass(from: Socket, to: Socket): Promise<void> {
    for await (const data of from) {
      let left: Buffer = data;
      while (left.length > 0) {
        const most = Number.isFinite(link.bytesPerSecond) ? (link.bytesPerSecond * tickMs) / 1000 : left.length;
        const part = left.subarray(0, Math.ceil(most));
        left = left.subarray(part.length);
        if (part.length > 0 && !to.write(part)) await once(to, "drain");
        passedBytes += part.length;
        if (left.length > 0 || part.length >= most) await sleep(Number.isFinite(link.bytesPerSecond) ? tickMs : 0);
      }
    }
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const link: SlowLink = {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bytesPerSecond,
    get passedBytes() {
      return passedBytes;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async stop() {
      const closed = once(server, "close");
      server.close();
      link.cut();
      await closed;
    },
  };
  return link;
}
