import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { EspalierError } from "@espalier/shared/errors";
import { type LogLevel, logLevels } from "@espalier/shared/logging";
import type { KeptDays } from "./retention/retention.ts";

export const usage = `usage: node coordinator/src/main.ts --data DIR [options]

  --data DIR               everything the coordinator keeps (database, blobs, keys, embedded broker)
  --listen HOST            address to listen on (127.0.0.1)
  --advertise HOST         name or address by which devices, builders and operators reach it (localhost, or HOST of --listen)
  --enroll-port N          enrollment port (0: chosen once and kept)
  --session-port N         mutual-TLS port of devices and operators (0)
  --http-port N            metrics and service discovery (0)
  --nats-server PATH       binary of the embedded broker (nats-server on PATH)
  --nats-url URL           use this broker instead of an embedded one (repeatable); needs the two next
  --nats-account KEY       public key of the account to use there
  --nats-signing-key FILE  seed with which users of that account are signed
  --prometheus-url URL     a Prometheus that scrapes this coordinator; the console draws its charts from it
  --device-cert-days N     validity of device certificates (365)
  --keep-events-days N     what happened to devices and in rollouts is kept so long (90; 0: for ever)
  --keep-audit-days N      what operators did is kept so long (400; 0: for ever)
  --log-level LEVEL        ${logLevels.join(", ")} (info)
`;

/** Which broker: our own child process, or one that others run. */
export type BrokerOptions =
  | { readonly kind: "embedded"; readonly binary: string }
  | { readonly kind: "external"; readonly urls: string[]; readonly account: string; readonly signingKeyPath: string };

/** Options with every default and contradiction settled. Port 0: chosen once and kept in the data folder. */
export interface CoordinatorOptions {
  readonly dataFolder: string;
  readonly listenHost: string;
  readonly advertisedHost: string;
  readonly ports: { readonly enrollment: number; readonly session: number; readonly http: number };
  readonly broker: BrokerOptions;
  /** Where the console's charts come from; null: it shows none. */
  readonly prometheusUrl: string | null;
  readonly deviceCertificateDays: number;
  readonly keptDays: KeptDays;
  readonly logLevel: LogLevel;
}

/** Whether only this machine reaches a host that is listened on. */
export function isLoopback(host: string): boolean {
  return ["127.0.0.1", "::1", "localhost"].includes(host);
}

/**
 * Reads the command line. All problems are reported at once.
 * @throws {EspalierError} `options.invalid`
 */
export function readOptions(args: readonly string[], environment: NodeJS.ProcessEnv): CoordinatorOptions {
  const values = parse(args);
  const problems: string[] = [];
  const integer = (name: string, text: string, [min, max]: readonly [number, number]): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    problems.push(`--${name}: expected a whole number from ${min} to ${max}, got "${text}"`);
    return min;
  };
  const port = (name: "enroll-port" | "session-port" | "http-port") => integer(name, values[name], [0, 65_535]);
  const ports = { enrollment: port("enroll-port"), session: port("session-port"), http: port("http-port") };
  const fixed = Object.values(ports).filter((value) => value !== 0);
  if (new Set(fixed).size < fixed.length) problems.push("the ports must differ");
  if (values.data === undefined) problems.push("--data DIR is required");
  const logLevel = logLevels.find((level) => level === values["log-level"]);
  if (logLevel === undefined) problems.push(`--log-level: expected ${logLevels.join(", ")}`);
  const broker = brokerOptions(values, environment, problems);
  const deviceCertificateDays = integer("device-cert-days", values["device-cert-days"], [1, 3650]);
  const days = (name: "keep-events-days" | "keep-audit-days") => integer(name, values[name], [0, 36_500]) || null;
  const keptDays = { events: days("keep-events-days"), audit: days("keep-audit-days") };
  const prometheusUrl = values["prometheus-url"] ?? null;
  if (prometheusUrl !== null && !/^https?:$/.test(URL.parse(prometheusUrl)?.protocol ?? "")) {
    problems.push(`--prometheus-url: expected http://host:port, got "${prometheusUrl}"`);
  }
  if (problems.length > 0) {
    throw new EspalierError("options.invalid", problems.join("\n"), { remedy: usage });
  }
  return {
    dataFolder: resolve(values.data ?? ""),
    listenHost: values.listen,
    advertisedHost: values.advertise ?? (isLoopback(values.listen) ? "localhost" : values.listen),
    ports,
    broker,
    prometheusUrl,
    deviceCertificateDays,
    keptDays,
    logLevel: logLevel ?? "info",
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        data: { type: "string" },
        listen: { type: "string", default: "127.0.0.1" },
        advertise: { type: "string" },
        "enroll-port": { type: "string", default: "0" },
        "session-port": { type: "string", default: "0" },
        "http-port": { type: "string", default: "0" },
        "nats-server": { type: "string" },
        "nats-url": { type: "string", multiple: true, default: [] },
        "nats-account": { type: "string" },
        "nats-signing-key": { type: "string" },
        "prometheus-url": { type: "string" },
        "device-cert-days": { type: "string", default: "365" },
        "keep-events-days": { type: "string", default: "90" },
        "keep-audit-days": { type: "string", default: "400" },
        "log-level": { type: "string", default: "info" },
      },
    }).values;
  } catch (cause) {
    throw new EspalierError("options.invalid", String(cause instanceof Error ? cause.message : cause), {
      remedy: usage,
      cause,
    });
  }
}

function brokerOptions(
  values: ReturnType<typeof parse>,
  environment: NodeJS.ProcessEnv,
  problems: string[],
): BrokerOptions {
  const { "nats-url": urls, "nats-account": account, "nats-signing-key": signingKeyPath } = values;
  if (urls.length === 0) {
    if (account !== undefined || signingKeyPath !== undefined) {
      problems.push("--nats-account and --nats-signing-key belong to --nats-url");
    }
    return {
      kind: "embedded",
      binary: values["nats-server"] ?? environment["ESPALIER_NATS_SERVER"] ?? "nats-server",
    };
  }
  if (values["nats-server"] !== undefined) problems.push("--nats-url and --nats-server exclude each other");
  if (account === undefined || signingKeyPath === undefined) {
    problems.push("--nats-url needs --nats-account and --nats-signing-key");
  }
  return { kind: "external", urls, account: account ?? "", signingKeyPath: resolve(signingKeyPath ?? "") };
}
