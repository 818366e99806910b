import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/shared/errors";
import { z } from "zod";
import { writeDurably } from "../store/write-durably.ts";

/** Who this device is, and what proves it. */
export const Identity = z.strictObject({
  schemaVersion: z.literal(1),
  deviceId: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
  /** host:port of the mutual-TLS services. */
  sessionAddress: z.string(),
  natsUrls: z.array(z.string()).min(1),
  /** PKCS#8 private key, made on this device; it never leaves it. */
  keyPem: z.string(),
  certificatePem: z.string(),
  authorityPem: z.string(),
  /** nkey seed, made on this device; it never leaves it. */
  natsSeed: z.string(),
  natsUserJwt: z.string(),
});
export type Identity = z.infer<typeof Identity>;

const fileName = "identity.json";

/**
 * The identity of an enrolled device, undefined before. One file, so that key, certificate and credentials are never
 * of different enrollments.
 * @throws {EspalierError} `identity.unreadable`: a broken identity can't heal itself, only a new token helps
 */
export async function loadIdentity(folder: string): Promise<Identity | undefined> {
  const path = join(folder, fileName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return Identity.parse(JSON.parse(text));
  } catch (cause) {
    throw new EspalierError(
      "identity.unreadable",
      `${path} can't be read. Remove it and enroll the device again with a new token.`,
      { fields: { path }, cause },
    );
  }
}

export async function saveIdentity(folder: string, identity: Identity): Promise<void> {
  await writeDurably(join(folder, fileName), `${JSON.stringify(identity, null, 2)}\n`, 0o600);
}
