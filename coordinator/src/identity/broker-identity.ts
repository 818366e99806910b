import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { devicePermissions } from "@espalier/shared/device-permissions";
import { EspalierError } from "@espalier/shared/errors";
import { createAccount, createOperator, createUser, fromPublic, fromSeed } from "@nats-io/nkeys";
import { z } from "zod";
import { builderId, builderPermissions } from "./builder-permissions.ts";
import {
  accountClaims,
  createJwtSigner,
  credentialsFile,
  type JwtSigner,
  operatorClaims,
  userClaims,
} from "./nats-jwt.ts";
import { readIfPresent, writePrivateFile } from "./private-file.ts";

/** A user's JWT with the seed that proves it. */
export interface BrokerUser {
  readonly jwt: string;
  readonly seed: string;
}

/** Signs users into the account in which everything of Espalier lives. */
export interface BrokerIdentity {
  /**
   * @param expiresAtMs from when on the broker refuses it; never when absent
   * @throws {EspalierError} `nkey.malformed` for anything but a public user key
   */
  deviceJwt(deviceId: string, publicKey: string, expiresAtMs?: number): string;
  readonly coordinator: BrokerUser;
  /** The credentials file that builders are given. */
  readonly builderCredentials: string;
}

/** What an embedded server is configured with. */
export interface EmbeddedIdentity extends BrokerIdentity {
  readonly operatorJwt: string;
  readonly systemAccount: string;
  readonly systemAccountJwt: string;
  readonly account: string;
  /** The account's JWT; users in `revocations` (public key -> second) are shut out. */
  accountJwt(revocations: Readonly<Record<string, number>>): string;
  /** May update account JWTs on the running server. */
  readonly systemUser: BrokerUser;
}

const Seeds = z.strictObject({
  schemaVersion: z.literal(1),
  operator: z.string(),
  systemAccount: z.string(),
  account: z.string(),
  systemUser: z.string(),
  coordinator: z.string(),
  builder: z.string(),
});
type Seeds = z.infer<typeof Seeds>;

/** Operator, accounts and own users of the embedded server; made once, kept in `folder`. */
export async function openEmbeddedIdentity(folder: string, now: () => number): Promise<EmbeddedIdentity> {
  const seeds = await loadOrCreateSeeds(folder);
  const operator = createJwtSigner(seeds.operator, now);
  const systemSigner = createJwtSigner(seeds.systemAccount, now);
  const account = createJwtSigner(seeds.account, now);
  const systemAccount = systemSigner.publicKey;
  return {
    ...signInto(account, null, seeds),
    operatorJwt: operator.sign({
      name: "espalier",
      subject: operator.publicKey,
      nats: operatorClaims(systemAccount),
    }),
    systemAccount,
    systemAccountJwt: operator.sign({
      name: "SYS",
      subject: systemAccount,
      nats: accountClaims({ jetStream: false, revocations: {} }),
    }),
    account: account.publicKey,
    accountJwt: (revocations) =>
      operator.sign({
        name: "ESPALIER",
        subject: account.publicKey,
        nats: accountClaims({ jetStream: true, revocations }),
      }),
    systemUser: signUser(systemSigner, null, { name: "system", seed: seeds.systemUser }),
  };
}

/**
 * For a server that others run: users are signed by `signingSeed`, the seed of the account or of one of its signing
 * keys, into the account with this public key. The seeds of our own users are kept in `folder`.
 */
export async function openExternalIdentity(options: {
  folder: string;
  signingSeed: string;
  account: string;
  now: () => number;
}): Promise<BrokerIdentity> {
  const signer = createJwtSigner(options.signingSeed, options.now);
  const issuerAccount = signer.publicKey === options.account ? null : options.account;
  return signInto(signer, issuerAccount, await loadOrCreateSeeds(options.folder));
}

function signInto(
  signer: JwtSigner,
  issuerAccount: string | null,
  seeds: Pick<Seeds, "coordinator" | "builder">,
): BrokerIdentity {
  const builder = signer.sign({
    name: builderId,
    subject: publicKeyOf(seeds.builder),
    nats: userClaims(builderPermissions(), issuerAccount),
  });
  return {
    coordinator: signUser(signer, issuerAccount, { name: "coordinator", seed: seeds.coordinator }),
    builderCredentials: credentialsFile(builder, seeds.builder),
    deviceJwt(deviceId, publicKey, expiresAtMs) {
      if (!isUserKey(publicKey)) {
        throw new EspalierError("nkey.malformed", `"${publicKey.slice(0, 64)}" is no public NATS user key`);
      }
      return signer.sign({
        name: deviceId,
        subject: publicKey,
        ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
        nats: userClaims(devicePermissions(deviceId), issuerAccount),
      });
    },
  };
}

function signUser(signer: JwtSigner, issuerAccount: string | null, user: { name: string; seed: string }): BrokerUser {
  const jwt = signer.sign({
    name: user.name,
    subject: publicKeyOf(user.seed),
    nats: userClaims(null, issuerAccount),
  });
  return { jwt, seed: user.seed };
}

function isUserKey(publicKey: string): boolean {
  try {
    fromPublic(publicKey);
    return publicKey.startsWith("U");
  } catch {
    return false;
  }
}

function publicKeyOf(seed: string): string {
  return fromSeed(new TextEncoder().encode(seed)).getPublicKey();
}

async function loadOrCreateSeeds(folder: string): Promise<Seeds> {
  const path = join(folder, "seeds.json");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const text = await readIfPresent(path);
  if (text !== null) return Seeds.parse(JSON.parse(text));
  const seedOf = (pair: { getSeed(): Uint8Array }) => new TextDecoder().decode(pair.getSeed());
  const seeds: Seeds = {
    schemaVersion: 1,
    operator: seedOf(createOperator()),
    systemAccount: seedOf(createAccount()),
    account: seedOf(createAccount()),
    systemUser: seedOf(createUser()),
    coordinator: seedOf(createUser()),
    builder: seedOf(createUser()),
  };
  await writePrivateFile(path, `${JSON.stringify(seeds, null, 2)}\n`);
  return seeds;
}
