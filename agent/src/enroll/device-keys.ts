import "reflect-metadata";
import { createPrivateKey, createPublicKey, KeyObject, webcrypto } from "node:crypto";
import { createUser } from "@nats-io/nkeys";
import { cryptoProvider, Pkcs10CertificateRequestGenerator } from "@peculiar/x509";

export interface DeviceKeys {
  readonly keyPem: string;
  /** PKCS#10 request, signed by the key. Its subject is ignored: the coordinator chooses the identity. */
  readonly csrPem: string;
  readonly natsSeed: string;
  readonly natsPublicKey: string;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A PKCS#10 request for a key that the device has (PKCS#8, PEM). */
export async function makeRequest(keyPem: string): Promise<string> {
  cryptoProvider.set(webcrypto as Crypto);
  const key = createPrivateKey(keyPem);
  return requestFor({
    privateKey: key.toCryptoKey(algorithm, true, ["sign"]),
    publicKey: createPublicKey(key).toCryptoKey(algorithm, true, ["verify"]),
  });
}

async function requestFor(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const subject = { name: "CN=espalier-device", keys, signingAlgorithm: algorithm };
  return (await Pkcs10CertificateRequestGenerator.create(subject)).toString("pem");
}

/** New keys of a device: ECDSA P-256 for TLS, an nkey (Ed25519) for NATS. */
export async function makeDeviceKeys(): Promise<DeviceKeys> {
  cryptoProvider.set(webcrypto as Crypto);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const user = createUser();
  return {
    keyPem: KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString(),
    csrPem: await requestFor(keys),
    natsSeed: new TextDecoder().decode(user.getSeed()),
    natsPublicKey: user.getPublicKey(),
  };
}
