import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export interface TestAuthority {
  readonly certificatePem: string;
  server(): Promise<{ keyPem: string; certificatePem: string }>;
  /** Certificate for a device's request. */
  sign(csrPem: string, deviceId: string): Promise<string>;
}

/** A certificate authority for tests, with the same shape as the coordinator's: URI SAN for devices. */
export async function makeAuthority(): Promise<TestAuthority> {
  cryptoProvider.set(webcrypto as Crypto);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const notBefore = new Date(Date.now() - 60_000);
  const notAfter = new Date(Date.now() + 3_600_000);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=test authority",
    keys,
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  const issue = async (publicKey: webcrypto.CryptoKey, extensions: X509Extensions): Promise<string> =>
    (
      await X509CertificateGenerator.create({
        subject: "CN=test",
        issuer: certificate.subject,
        publicKey,
        signingKey: keys.privateKey,
        notBefore,
        notAfter,
        signingAlgorithm: algorithm,
        extensions,
      })
    ).toString("pem");
  return {
    certificatePem: certificate.toString("pem"),
    async server() {
      const own = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      return {
        keyPem: KeyObject.from(own.privateKey).export({ type: "pkcs8", format: "pem" }).toString(),
        certificatePem: await issue(own.publicKey, [
          new SubjectAlternativeNameExtension([
            { type: "dns", value: "localhost" },
            { type: "ip", value: "127.0.0.1" },
          ]),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        ]),
      };
    },
    async sign(csrPem, deviceId) {
      const request = new Pkcs10CertificateRequest(csrPem);
      if (!(await request.verify())) throw new Error("the request is not signed by its key");
      return issue(await request.publicKey.export(), [
        new SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://espalier/device/${deviceId}` }]),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
      ]);
    },
  };
}

type X509Extensions = NonNullable<Parameters<typeof X509CertificateGenerator.create>[0]["extensions"]>;
