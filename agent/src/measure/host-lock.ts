import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

export interface HostLock {
  /**
   * Waits for this host's turn; `onWait` is called once if somebody else has it. The result gives it back.
   * @throws the signal's reason
   */
  acquire(signal: AbortSignal, onWait: () => void): Promise<() => Promise<void>>;
}

/**
 * One holder among all processes of a host (of a network namespace): whoever listens on an abstract Unix socket named
 * by the host id. The kernel closes it with its process, so a killed holder never blocks the others; those who wait hold
 * a connection to the holder and wake when it breaks.
 */
export function createHostLock(hostId: string): HostLock {
  const path = `\0espalier-measure-${hostId}`;
  return {
    async acquire(signal, onWait) {
      let waited = false;
      for (;;) {
        signal.throwIfAborted();
        const holding = await tryListen(path);
        if (holding !== null) return holding;
        if (!waited) onWait();
        waited = true;
        await holderGone(path, signal);
      }
    },
  };
}

async function tryListen(path: string): Promise<(() => Promise<void>) | null> {
  const waiting = new Set<Socket>();
  const server: Server = createServer((socket) => {
    waiting.add(socket);
    socket.on("error", () => undefined).on("close", () => waiting.delete(socket));
  });
  server.listen({ path });
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return null;
    throw error;
  }
  // A holder that has nothing else to do may exit.
  server.unref();
  return async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of waiting) socket.destroy();
    await closed;
  };
}

async function holderGone(path: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const socket = connect({ path });
  const abort = (): void => void socket.destroy();
  signal.addEventListener("abort", abort, { once: true });
  await new Promise<void>((resolve) =>
    socket
      .on("error", () => undefined)
      .on("close", () => resolve())
      .resume(),
  );
  signal.removeEventListener("abort", abort);
  signal.throwIfAborted();
}
