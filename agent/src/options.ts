import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { Budget } from "@espalier/shared/contracts/profile";
import { type LogLevel, logLevels } from "@espalier/shared/logging";
import { Command, InvalidArgumentError, Option } from "commander";

/** What the command line asks for, with defaults settled. */
export interface AgentOptions {
  readonly dataFolder: string;
  /** Null for a device that is to be enrolled already. */
  readonly enrollment: {
    readonly address: string;
    readonly token: string;
    readonly authorityPath: string;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  } | null;
  readonly budget: Budget;
  /** Computes only with what other programs leave of the processor. */
  readonly lowPriority: boolean;
  /** Threads that wait for work within a run keep their core. */
  readonly spin: boolean;
  readonly contextTokens: number;
  readonly apiPort: number;
  /** File with the key that clients of the local API must present; null for none. */
  readonly apiKeyFile: string | null;
  readonly telemetryIntervalMs: number;
  readonly logLevel: LogLevel;
}

/** Reads a size: plain bytes, or a number with KB, MB, GB (powers of 1000) or KiB, MiB, GiB (powers of 1024). */
export function parseBytes(text: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)\s*([KMG]i?B)?$/i.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError("expected bytes, e.g. 314572800, 300MiB or 2GB");
  const power = ["", "k", "m", "g"].indexOf(unit.charAt(0).toLowerCase());
  const bytes = Math.floor(Number(digits) * (unit.toLowerCase().includes("i") ? 1024 : 1000) ** power);
  if (bytes < 1) throw new InvalidArgumentError("expected more than 0 bytes");
  return bytes;
}

/** @throws {CommanderError} which has told the user already, for wrong options and for --help */
export function parseOptions(argv: readonly string[]): AgentOptions {
  const command = new Command("espalier-agent")
    .description(
      "Runs one device of an Espalier fleet: measures it, serves the variant the coordinator assigns on loopback, reports.",
    )
    .requiredOption("--data <dir>", "folder for identity, state and variants; a new folder is a new device")
    .option("--enroll <host:port>", "enrollment service of the coordinator; needed once, with --token and --authority")
    .option("--token <token>", "one-time token from `espalier token create`")
    .option("--authority <file.pem>", "certificate of the coordinator's authority, printed by `espalier token create`")
    .option("--name <name>", "what to call the device (default: the host name)")
    .option("--label <key=value>", "label for selectors, e.g. tier=small; repeatable", collectLabel, {})
    .option("--threads <n>", "threads that computing may use", integer(1, 1024), availableParallelism())
    .option("--memory <size>", "most memory the agent may hold, e.g. 300MiB; no limit by default", parseBytes)
    .option("--disk <size>", "most bytes the data folder may hold, e.g. 2GiB; no limit by default", parseBytes)
    .option("--cpu-quota <cores>", "share of CPU time in cores, e.g. 0.5; no limit by default", positive)
    .option("--low-priority", "let every other program on the device go first", false)
    .option(
      "--spin",
      "let ONNX Runtime's idle threads spin, where no kernel of the agent's serves: slower on shared cores",
      false,
    )
    .option("--context <tokens>", "room for prompt and answer together", integer(16, 131_072), 2048)
    .option("--api-port <port>", "loopback port of the local API; 0 takes a free one", integer(0, 65_535), 0)
    .option("--api-key-file <file>", "file with a key that clients of the local API must send as a bearer token")
    .option("--telemetry-interval <seconds>", "time between telemetry snapshots", positive, 5)
    .addOption(new Option("--log-level <level>", "how much to log, on stderr").choices(logLevels).default("info"))
    .addHelpText(
      "after",
      `
Limits are enforced by control groups (v1 or v2) where this process may make one; what can't be enforced is reported.

Example:
  espalier-agent --data /var/lib/espalier --enroll hub:7400 --token T --authority authority.pem --memory 300MiB`,
    );
  command.parse(argv, { from: "user" });
  return compile(command);
}

function compile(command: Command): AgentOptions {
  const given: {
    data: string;
    enroll?: string;
    token?: string;
    authority?: string;
    name?: string;
    label: Record<string, string>;
    threads: number;
    memory?: number;
    disk?: number;
    cpuQuota?: number;
    lowPriority: boolean;
    spin: boolean;
    context: number;
    apiPort: number;
    apiKeyFile?: string;
    telemetryInterval: number;
    logLevel: LogLevel;
  } = command.opts();
  const { enroll, token, authority } = given;
  const missing = Object.entries({ enroll, token, authority }).filter(([, value]) => value === undefined);
  if (missing.length > 0 && missing.length < 3)
    command.error(
      `error: --enroll, --token and --authority belong together; missing: --${missing.map(([name]) => name).join(", --")}`,
    );
  return {
    dataFolder: resolve(given.data),
    enrollment:
      enroll === undefined || token === undefined || authority === undefined
        ? null
        : { address: enroll, token, authorityPath: resolve(authority), name: given.name ?? "", labels: given.label },
    budget: {
      threads: given.threads,
      memoryBytes: given.memory ?? null,
      diskBytes: given.disk ?? null,
      cpuQuota: given.cpuQuota ?? null,
    },
    lowPriority: given.lowPriority,
    spin: given.spin,
    contextTokens: given.context,
    apiPort: given.apiPort,
    apiKeyFile: given.apiKeyFile === undefined ? null : resolve(given.apiKeyFile),
    telemetryIntervalMs: given.telemetryInterval * 1000,
    logLevel: given.logLevel,
  };
}

function collectLabel(text: string, labels: Record<string, string>): Record<string, string> {
  const [, key, value] = /^([\w./-]+)=([\w./-]*)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError("expected key=value, e.g. tier=small");
  return { ...labels, [key]: value };
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`expected an integer from ${min} to ${max}`);
    return value;
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("expected a number over 0, e.g. 0.5");
  return value;
}
