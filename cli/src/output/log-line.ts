import { z } from "zod";
import { dim, state, warning } from "./colour.ts";

/** From mild to bad. */
export const logLevelNames = ["debug", "info", "warn", "error"] as const;
export type LogLevelName = (typeof logLevelNames)[number];

/** What pino writes; the rest of a line are its fields. */
const LogLine = z.looseObject({ level: z.number(), time: z.string(), msg: z.string().default(""), name: z.unknown() });

function parse(line: string): z.infer<typeof LogLine> | null {
  try {
    return LogLine.parse(JSON.parse(line));
  } catch {
    // Cut off by the agent since it was too long, or written by something else.
    return null;
  }
}

/** A line's place in `logLevelNames`; one that can't be read is shown whatever is asked for. */
export function levelOf(line: string): number {
  const level = parse(line)?.level;
  if (level === undefined) return logLevelNames.length;
  return level >= 50 ? 3 : level >= 40 ? 2 : level >= 30 ? 1 : 0;
}

/** A structured line for people: time, level, message, fields. */
export function logText(line: string): string {
  const parsed = parse(line);
  if (parsed === null) return line;
  const { level: _level, time, msg, name: _name, ...fields } = parsed;
  const name = logLevelNames[levelOf(line)] ?? "";
  const shown = name === "warn" ? warning(name) : name === "error" ? state(name) : dim(name);
  const pairs = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return [time, shown.padEnd(5), msg, dim(pairs.join(" "))].filter((part) => part !== "").join("  ");
}
