import { createHash, randomBytes } from "node:crypto";

/** 32 random bytes: guessing is hopeless, so a plain hash is enough to store. */
export function newEnrollmentToken(): string {
  return randomBytes(32).toString("base64url");
}

/** What the store keeps of a token. */
export function hashOfToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
