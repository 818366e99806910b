import { createPrivateKey, X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { expiryFinding, type Finding } from "@espalier/shared/contracts/finding";
import type { LoadedContext } from "../client.ts";

/** Whether the context's certificate is good: of its authority, of its key, and not near its end. */
export function certificateFindings(context: LoadedContext, nowMs: number): Finding[] {
  const check = "certificate";
  const fix = "ask an admin for a new context: espalier operator revoke NAME, then create NAME";
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(context.certificatePem);
    const authority = new X509Certificate(context.authorityPem);
    if (!certificate.verify(authority.publicKey)) {
      return [{ check, level: "error", message: "your certificate is of another authority than the context's", fix }];
    }
    if (!certificate.checkPrivateKey(createPrivateKey(context.keyPem))) {
      return [{ check, level: "error", message: "the context's key is not your certificate's", fix }];
    }
  } catch (error) {
    return [{ check, level: "error", message: `the context's keys can't be read: ${(error as Error).message}`, fix }];
  }
  return [expiryFinding(check, "your certificate", Date.parse(certificate.validTo), nowMs, fix)];
}

/** Whether others on this machine could read the key. */
export function contextFinding(path: string): Finding {
  // Windows has no such bits.
  const open = process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
  return open
    ? {
        check: "context",
        level: "warning",
        message: `others on this machine may read ${path}`,
        fix: `chmod 600 ${path}`,
      }
    : { check: "context", level: "ok", message: path, fix: "" };
}

const certificateToleranceMs = 5 * 60_000;
const noticeableMs = 5_000;

/**
 * The coordinator's clock against ours; half the round trip is what can't be known.
 * @param askedAtMs when the question left, @param answeredAtMs when the answer came, both by our clock
 */
export function clockFinding(coordinatorMs: number, askedAtMs: number, answeredAtMs: number): Finding {
  const check = "clock";
  const uncertainMs = (answeredAtMs - askedAtMs) / 2;
  const offMs = Math.abs(coordinatorMs - (askedAtMs + uncertainMs));
  const message = `${(offMs / 1000).toFixed(1)} s from the coordinator's (± ${(uncertainMs / 1000).toFixed(1)} s)`;
  const fix = "let both machines follow a time server (timedatectl set-ntp true)";
  const surelyOffMs = offMs - uncertainMs;
  if (surelyOffMs > certificateToleranceMs) return { check, level: "error", message, fix };
  return surelyOffMs > noticeableMs
    ? { check, level: "warning", message, fix }
    : { check, level: "ok", message, fix: "" };
}
