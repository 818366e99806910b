import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const environmentFile = fileURLToPath(new URL("../../../.espalier/env.json", import.meta.url));

/** The nats-server that the bootstrap found or unpacked; without a bootstrap, the one on PATH. */
export function natsServerBinary(): string {
  let text: string;
  try {
    text = readFileSync(environmentFile, "utf8");
  } catch {
    return process.env["ESPALIER_NATS_SERVER"] ?? "nats-server";
  }
  const environment: unknown = JSON.parse(text);
  if (typeof environment === "object" && environment !== null && "natsServer" in environment)
    return String(environment.natsServer);
  return "nats-server";
}

/** The promtool that the bootstrap found or unpacked; null without one, and a test says what it skips. */
export function promtoolBinary(): string | null {
  try {
    const environment: unknown = JSON.parse(readFileSync(environmentFile, "utf8"));
    if (typeof environment === "object" && environment !== null && "promtool" in environment)
      return String(environment.promtool);
  } catch {
    // No bootstrap here.
  }
  return null;
}
