import "reflect-metadata";
import { createPublicKey, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { EspalierError } from "@espalier/shared/errors";
import { coordinatorTlsName } from "@espalier/shared/grpc";
import * as x509 from "@peculiar/x509";
import { readIfPresent, writePrivateFile } from "./private-file.ts";
import { type Identity, identityOfAltNames, spiffeUri } from "./spiffe.ts";

/** A certificate with its private key, PEM. */
export interface KeyedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** A device's certificate. */
export interface DeviceCertificate {
  readonly certificatePem: string;
  readonly serial: string;
  readonly expiresAtMs: number;
}

/** Our own certificate authority (ECDSA P-256). */
export interface Authority {
  readonly certificatePem: string;
  /** For the gRPC ports, with SANs for `hosts` (names or addresses). */
  issueServer(hosts: readonly string[]): Promise<KeyedCertificate>;
  issueOperator(name: string, days: number): Promise<KeyedCertificate & { readonly serial: string }>;
  /**
   * Certifies the key of a PKCS#10 request for a device. Nothing else of the request is used: subject and extensions
   * are ours.
   * @throws {EspalierError} `csr.malformed`, `csr.unproven` (not signed by its own key), `csr.key-refused`
   */
  issueDevice(csrPem: string, deviceId: string): Promise<DeviceCertificate>;
  /**
   * The device that a certificate of ours was issued to, whether or not it has expired, given a request that is signed by
   * the certificate's own key.
   * @throws {EspalierError} `certificate.malformed`, `certificate.unauthenticated`, `csr.*`
   */
  deviceOf(certificatePem: string, csrPem: string): Promise<string>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;
const authorityDays = 3650;
const serverDays = 825;
/** Peers' clocks may be behind. */
const clockSkewMs = 5 * 60_000;
const maxCsrChars = 16_384;

/** Opens the authority in `folder`, making it on the first start. */
export async function openAuthority(options: {
  folder: string;
  deviceDays: number;
  now: () => number;
}): Promise<Authority> {
  const { now, deviceDays } = options;
  x509.cryptoProvider.set(webcrypto as Crypto);
  const { certificate, privateKey } = await loadOrCreate(options.folder, now());

  async function issue(subject: {
    name: string;
    publicKey: CryptoKey | x509.PublicKey;
    names: x509.JsonGeneralName[];
    usage: x509.ExtendedKeyUsage;
    days: number;
  }): Promise<x509.X509Certificate> {
    return x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: [{ CN: [subject.name] }],
      issuer: certificate.subject,
      notBefore: new Date(now() - clockSkewMs),
      notAfter: new Date(now() + subject.days * dayMs),
      publicKey: subject.publicKey,
      signingKey: privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([subject.usage]),
        new x509.SubjectAlternativeNameExtension(subject.names),
        await x509.AuthorityKeyIdentifierExtension.create(certificate.publicKey),
      ],
    });
  }

  async function issueWithNewKey(request: Omit<Parameters<typeof issue>[0], "publicKey">) {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const issued = await issue({ ...request, publicKey: keys.publicKey });
    const serial = issued.serialNumber;
    return { certificatePem: issued.toString("pem"), keyPem: await keyToPem(keys.privateKey), serial };
  }

  const urlOf = (identity: Identity): x509.JsonGeneralName => ({ type: "url", value: spiffeUri(identity) });
  return {
    certificatePem: certificate.toString("pem"),
    issueServer: (hosts) =>
      issueWithNewKey({
        name: "espalier-coordinator",
        names: [...new Set([coordinatorTlsName, ...hosts])].map((value) => ({
          type: isIP(value) === 0 ? "dns" : "ip",
          value,
        })),
        usage: x509.ExtendedKeyUsage.serverAuth,
        days: serverDays,
      }),
    issueOperator: (name, days) =>
      issueWithNewKey({
        name,
        names: [urlOf({ kind: "operator", id: name })],
        usage: x509.ExtendedKeyUsage.clientAuth,
        days,
      }),
    async issueDevice(csrPem, deviceId) {
      const publicKey = await provenKey(csrPem);
      const issued = await issue({
        name: deviceId,
        publicKey,
        names: [urlOf({ kind: "device", id: deviceId })],
        usage: x509.ExtendedKeyUsage.clientAuth,
        days: deviceDays,
      });
      const { serialNumber: serial, notAfter } = issued;
      return { certificatePem: issued.toString("pem"), serial, expiresAtMs: notAfter.getTime() };
    },
    async deviceOf(certificatePem, csrPem) {
      const proven = Buffer.from((await provenKey(csrPem)).rawData);
      const presented = readCertificate(certificatePem);
      const identity = identityOfAltNames(presented.subjectAltName ?? "");
      const isOurs = presented.verify(createPublicKey(certificate.publicKey.toString("pem")));
      const isItsKey = proven.equals(presented.publicKey.export({ type: "spki", format: "der" }));
      if (!isOurs || !isItsKey || identity?.kind !== "device") {
        throw new EspalierError(
          "certificate.unauthenticated",
          "that is no certificate of a device of this fleet, or not its key",
        );
      }
      return identity.id;
    },
  };
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem.slice(0, maxCsrChars));
  } catch (cause) {
    throw new EspalierError("certificate.malformed", "that is no certificate in PEM", { cause });
  }
}

async function provenKey(csrPem: string): Promise<x509.PublicKey> {
  if (csrPem.length > maxCsrChars) throw malformed(new RangeError(`over ${maxCsrChars} characters`));
  let request: x509.Pkcs10CertificateRequest;
  let proven: boolean;
  try {
    request = new x509.Pkcs10CertificateRequest(csrPem);
    proven = await request.verify();
  } catch (cause) {
    throw malformed(cause);
  }
  if (!proven) throw new EspalierError("csr.unproven", "the certificate request isn't signed by the key it names");
  const { name, namedCurve } = request.publicKey.algorithm as { name: string; namedCurve?: string };
  if (name !== "ECDSA" || (namedCurve !== "P-256" && namedCurve !== "P-384")) {
    throw new EspalierError("csr.key-refused", `a device key must be ECDSA on P-256 or P-384, not ${name}`, {
      fields: { algorithm: name },
    });
  }
  return request.publicKey;
}

function malformed(cause: unknown): EspalierError {
  return new EspalierError("csr.malformed", "the certificate request is no PKCS#10 in PEM", { cause });
}

async function loadOrCreate(folder: string, nowMs: number) {
  const certificatePath = join(folder, "authority.pem");
  const keyPath = join(folder, "authority.key");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [certificatePem, keyPem] = [await readIfPresent(certificatePath), await readIfPresent(keyPath)];
  if (certificatePem !== null && keyPem !== null) {
    return { certificate: new x509.X509Certificate(certificatePem), privateKey: await keyFromPem(keyPem) };
  }
  if (certificatePem !== null) {
    // Devices trust this certificate: a new one would lock them all out, so it is never replaced silently.
    throw new EspalierError("authority.key-missing", `${certificatePath} is there but its key ${keyPath} is not`, {
      fields: { keyPath },
      remedy:
        "restore the key from a backup; removing the certificate makes a new authority and all devices enroll anew",
    });
  }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: ["espalier authority"] }],
    notBefore: new Date(nowMs - clockSkewMs),
    notAfter: new Date(nowMs + authorityDays * dayMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  // The key first: a kill in between leaves a key that no certificate speaks of, and the next start replaces it.
  await writePrivateFile(keyPath, await keyToPem(keys.privateKey));
  await writePrivateFile(certificatePath, certificate.toString("pem"));
  return { certificate, privateKey: keys.privateKey };
}

/** 127 random bits: positive, as DER wants it. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

async function keyToPem(key: CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return x509.PemConverter.encode(der, "PRIVATE KEY");
}

async function keyFromPem(pem: string): Promise<CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) throw new EspalierError("authority.key-damaged", "the authority's key file holds no PEM key");
  return webcrypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
}
