import type { LogSink } from "@espalier/shared/logging";

/** The newest lines of the agent's own log, for an operator who asks (`espalier device logs`). */
export interface LogRing extends LogSink {
  /**
   * Up to `lines` lines from number `after` on, or the newest for 0. `next` is what to ask for after them; a number that
   * was never given out is of an agent before this one, and reads from the oldest line.
   */
  read(request: { after: number; lines: number }): { lines: string[]; next: number; missed: number };
}

const keptLines = 1_000;
/** Longer lines are cut: the ring never holds more than `keptLines` times this. */
const maxLineChars = 2_048;

/** Lines are numbered from 1. */
export function createLogRing(): LogRing {
  const kept: string[] = [];
  let written = 0;
  return {
    write(line) {
      written++;
      kept.push(line.trimEnd().slice(0, maxLineChars));
      if (kept.length > keptLines) kept.shift();
    },
    read({ after, lines }) {
      const oldest = written - kept.length + 1;
      const wanted = after === 0 ? Math.max(oldest, written - lines + 1) : after > written + 1 ? oldest : after;
      const from = Math.max(oldest, wanted);
      const found = kept.slice(from - oldest, from - oldest + lines);
      return { lines: found, next: from + found.length, missed: from - wanted };
    },
  };
}
