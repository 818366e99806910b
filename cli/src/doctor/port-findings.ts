import { connect } from "node:net";
import type { Finding } from "@espalier/shared/contracts/finding";
import type { GetStatusResponse__Output } from "@espalier/shared/generated/espalier/v1/GetStatusResponse";

const connectTimeoutMs = 3_000;

/** Who needs a port, and what follows when it can't be reached from here. */
interface Port {
  readonly what: string;
  /** host:port */
  readonly address: string;
  readonly level: "warning" | "error";
}

/** The ports of a coordinator, as seen from this machine. */
export function portsOf(operatorAddress: string, status: GetStatusResponse__Output | null): Port[] {
  const operators: Port = { what: "operators and devices", address: operatorAddress, level: "error" };
  if (status === null) return [operators];
  return [
    operators,
    { what: "enrollment", address: status.enrollmentAddress, level: "warning" },
    { what: "console and metrics", address: new URL(status.httpUrl).host, level: "warning" },
    ...status.natsUrls.map((url): Port => ({ what: "nats", address: new URL(url).host, level: "warning" })),
  ];
}

export async function portFinding({ what, address, level }: Port): Promise<Finding> {
  const check = "ports";
  const problem = await tryPort(address);
  if (problem === null) return { check, level: "ok", message: `${what}: ${address} answers`, fix: "" };
  const fix =
    "is it running there, and does a firewall let this machine through? devices need the port too (coordinator --listen, --advertise)";
  return { check, level, message: `${what}: ${address} can't be reached from here: ${problem}`, fix };
}

/** Null when somebody listens there, else why not. */
function tryPort(address: string): Promise<string | null> {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[|\]$/g, "");
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(address.slice(at + 1)), timeout: connectTimeoutMs });
    const end = (problem: string | null) => {
      socket.destroy();
      resolve(problem);
    };
    socket.once("connect", () => end(null));
    socket.once("timeout", () => end(`no answer within ${connectTimeoutMs / 1000} s`));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}
