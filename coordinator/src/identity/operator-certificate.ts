import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { Authority } from "./authority.ts";
import { readIfPresent, writePrivateFile } from "./private-file.ts";

const lifetimeDays = 825;
const renewBeforeMs = 30 * 86_400_000;

/** Where the operator's certificate and key lie. */
export interface OperatorCertificatePaths {
  readonly certificatePath: string;
  readonly keyPath: string;
}

/** Keeps an operator's certificate in `folder`; renewed, each time it is called, when it is missing, near its end or of another authority. */
export async function keepOperatorCertificate(options: {
  folder: string;
  name: string;
  authority: Authority;
  now: () => number;
}): Promise<OperatorCertificatePaths> {
  const { folder, name, authority, now } = options;
  const paths = { certificatePath: join(folder, `${name}.pem`), keyPath: join(folder, `${name}.key`) };
  const present = await readIfPresent(paths.certificatePath);
  if (present !== null && (await readIfPresent(paths.keyPath)) !== null && isUsable(present, authority, now())) {
    return paths;
  }
  const issued = await authority.issueOperator(name, lifetimeDays);
  await writePrivateFile(paths.keyPath, issued.keyPem);
  await writePrivateFile(paths.certificatePath, issued.certificatePem);
  return paths;
}

function isUsable(pem: string, authority: Authority, nowMs: number): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const isOurs = certificate.verify(new X509Certificate(authority.certificatePem).publicKey);
    return isOurs && Date.parse(certificate.validTo) - nowMs > renewBeforeMs;
  } catch {
    return false;
  }
}
