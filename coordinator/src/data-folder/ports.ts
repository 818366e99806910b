import { createServer } from "node:net";
import { join } from "node:path";
import { EspalierError } from "@espalier/shared/errors";
import { z } from "zod";
import { readIfPresent, writePrivateFile } from "../identity/private-file.ts";
import { dataNames } from "./layout.ts";

const Ports = z.strictObject({
  enrollment: z.int().positive(),
  session: z.int().positive(),
  http: z.int().positive(),
  nats: z.int().positive(),
});
export type Ports = z.infer<typeof Ports>;

/**
 * The ports of a data folder. Those that weren't asked for (0) are chosen once, among those free on `host`, and kept:
 * devices find a restarted coordinator where they left it.
 */
export async function settlePorts(options: {
  folder: string;
  host: string;
  wanted: { enrollment: number; session: number; http: number };
}): Promise<Ports> {
  const path = join(options.folder, dataNames.ports);
  const text = await readIfPresent(path);
  const kept = text === null ? null : Ports.parse(JSON.parse(text));
  const taken = new Set<number>(Object.values(options.wanted));
  const settle = async (wanted: number, before: number | undefined): Promise<number> => {
    if (wanted !== 0) return wanted;
    let port = before ?? (await freePort(options.host));
    // Asked twice at once, the system may answer the same.
    while (taken.has(port)) port = await freePort(options.host);
    taken.add(port);
    return port;
  };
  const ports: Ports = {
    enrollment: await settle(options.wanted.enrollment, kept?.enrollment),
    session: await settle(options.wanted.session, kept?.session),
    http: await settle(options.wanted.http, kept?.http),
    nats: await settle(0, kept?.nats),
  };
  await writePrivateFile(path, `${JSON.stringify(ports, null, 2)}\n`);
  return ports;
}

/** A port that was free on `host` a moment ago. */
export async function freePort(host: string): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", reject);
    probe.listen(0, host, resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === "string") {
    throw new EspalierError("listen.failed", `no free port on ${host}`, { fields: { host } });
  }
  return address.port;
}
