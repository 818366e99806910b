import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Levels that `--log-level` takes. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Takes lines as they are written, each with its line break. */
export interface LogSink {
  write(line: string): void;
}

/** JSON lines on stderr, so that stdout stays for data, and in `also`. `name` is the part: coordinator, agent. */
export function createLogger(name: string, level: LogLevel, also: readonly LogSink[] = []): Logger {
  const streams = [destination(2), ...also].map((stream) => ({ level: "trace" as const, stream }));
  const options = { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, also.length === 0 ? destination(2) : pino.multistream(streams));
}
