import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Levels that `--log-level` takes. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** JSON lines on stderr, so that stdout stays for data. `name` is the part: coordinator, agent. */
export function createLogger(name: string, level: LogLevel): Logger {
  return pino({ name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime }, destination(2));
}
