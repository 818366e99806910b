import { createHash, createPrivateKey, sign } from "node:crypto";
import { fromSeed } from "@nats-io/nkeys";

/** What a user may publish and subscribe to; null for no limits. */
export type NatsPermissions = { readonly publish: readonly string[]; readonly subscribe: readonly string[] } | null;

/**
 * NATS JWTs (version 2 claims; docs.nats.io, "JWT"). Signed by Node's crypto: the JavaScript ed25519 of the nkeys
 * package blocks for tens of milliseconds per signature.
 */
export interface JwtSigner {
  readonly publicKey: string;
  sign(claims: { name: string; subject: string; nats: Record<string, unknown>; expiresAtMs?: number }): string;
}

export function createJwtSigner(seed: string, now: () => number): JwtSigner {
  const publicKey = fromSeed(new TextEncoder().encode(seed)).getPublicKey();
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, rawSeed(seed)]), format: "der", type: "pkcs8" });
  return {
    publicKey,
    sign({ name, subject, nats, expiresAtMs }) {
      const exp = expiresAtMs === undefined ? {} : { exp: Math.floor(expiresAtMs / 1000) };
      const claims = { iat: Math.floor(now() / 1000), ...exp, iss: publicKey, name, sub: subject, nats };
      const jti = createHash("sha512-256").update(JSON.stringify(claims)).digest("hex").toUpperCase();
      const body = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode({ jti, ...claims })}`;
      return `${body}.${sign(null, Buffer.from(body), key).toString("base64url")}`;
    },
  };
}

export function operatorClaims(systemAccount: string): Record<string, unknown> {
  return { type: "operator", version: 2, system_account: systemAccount };
}

/** @param jetStream whether the account may keep streams (the system account may not) */
export function accountClaims({
  jetStream,
  revocations,
}: {
  jetStream: boolean;
  /** User public key -> second since 1970 up to which its JWTs are void. */
  revocations: Readonly<Record<string, number>>;
}): Record<string, unknown> {
  const storage = jetStream ? { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 } : {};
  const connections = {
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    wildcards: true,
    conn: -1,
    leaf: -1,
  };
  return { type: "account", version: 2, limits: { ...connections, ...storage }, revocations };
}

export function userClaims(permissions: NatsPermissions, issuerAccount: string | null): Record<string, unknown> {
  return {
    type: "user",
    version: 2,
    pub: permissions === null ? {} : { allow: permissions.publish },
    sub: permissions === null ? {} : { allow: permissions.subscribe },
    subs: -1,
    data: -1,
    payload: -1,
    ...(issuerAccount === null ? {} : { issuer_account: issuerAccount }),
  };
}

/** The credentials file that NATS clients read. */
export function credentialsFile(jwt: string, seed: string): string {
  return [
    "-----BEGIN NATS USER JWT-----",
    jwt,
    "------END NATS USER JWT------",
    "",
    "-----BEGIN USER NKEY SEED-----",
    seed,
    "------END USER NKEY SEED------",
    "",
  ].join("\n");
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** ASN.1 before the 32 raw bytes of an Ed25519 private key (RFC 8410). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/** An nkey seed is base32 of two prefix bytes, 32 key bytes and a CRC; `fromSeed` has checked it. */
function rawSeed(seed: string): Buffer {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let bits = "";
  for (const letter of seed) bits += alphabet.indexOf(letter).toString(2).padStart(5, "0");
  const bytes = Array.from({ length: 34 }, (_, index) => Number.parseInt(bits.slice(index * 8, index * 8 + 8), 2));
  return Buffer.from(bytes.slice(2));
}
