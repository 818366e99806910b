import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import { createUser } from "@nats-io/nkeys";
import { cryptoProvider, Pkcs10CertificateRequestGenerator } from "@peculiar/x509";

export interface DeviceKeys {
  readonly keyPem: string;
  /** PKCS#10 request, signed by the key. Its subject is ignored: the coordinator chooses the identity. */
  readonly csrPem: string;
  readonly natsSeed: string;
  readonly natsPublicKey: string;
}

/** New keys of a device: ECDSA P-256 for TLS, an nkey (Ed25519) for NATS. */
export async function makeDeviceKeys(): Promise<DeviceKeys> {
  cryptoProvider.set(webcrypto as Crypto);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: "CN=espalier-device",
    keys,
    signingAlgorithm: algorithm,
  });
  const user = createUser();
  return {
    keyPem: KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString(),
    csrPem: request.toString("pem"),
    natsSeed: new TextDecoder().decode(user.getSeed()),
    natsPublicKey: user.getPublicKey(),
  };
}
