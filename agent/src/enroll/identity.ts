import { join } from "node:path";
import { EspalierError } from "@espalier/shared/errors";
import { z } from "zod";
import { readTwice, writeTwice } from "../store/kept-twice.ts";

/** Who this device is, and what proves it. */
export const Identity = z.strictObject({
  schemaVersion: z.literal(1),
  deviceId: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
  /** host:port of the service that readmits a device whose certificate has expired; empty in older files. */
  enrollmentAddress: z.string().default(""),
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
  const reading = await readTwice(path, (text) => Identity.parse(JSON.parse(text)));
  switch (reading.kind) {
    case "absent":
      return undefined;
    case "whole":
      return reading.value;
    case "healed":
      await saveIdentity(folder, reading.value).catch(() => undefined);
      return reading.value;
    case "broken":
      throw new EspalierError(
        "identity.unreadable",
        `Neither ${path} nor its copy can be read. Remove ${folder} and enroll the device again with a new token.`,
        { fields: { path }, cause: reading.problem },
      );
  }
}

export async function saveIdentity(folder: string, identity: Identity): Promise<void> {
  await writeTwice(join(folder, fileName), `${JSON.stringify(identity, null, 2)}\n`, 0o600);
}

/** The identity as of now: a renewal replaces it while sessions run. */
export interface IdentityHolder {
  readonly current: Identity;
  /** Durable when it returns. */
  replace(next: Identity): Promise<void>;
}

export function holdIdentity(folder: string, identity: Identity): IdentityHolder {
  let current = identity;
  return {
    get current() {
      return current;
    },
    async replace(next) {
      await saveIdentity(folder, next);
      current = next;
    },
  };
}
