import { SingleBar } from "cli-progress";
import prettyMs from "pretty-ms";
import { bytes } from "./quantities.ts";

/** Progress of one long task on stderr: a bar on a terminal, a line a second elsewhere, so that logs stay readable. */
export interface Progress {
  update(fraction: number, message: string): void;
  finish(message?: string): void;
}

export function startProgress(label: string, stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? barProgress(label, stream) : lineProgress(label, stream);
}

function barProgress(label: string, stream: NodeJS.WriteStream): Progress {
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}% | {duration_formatted} | {message}`,
    stream,
    hideCursor: true,
    barsize: 24,
    forceRedraw: true,
  });
  bar.start(1000, 0, { message: "" });
  return {
    update: (fraction, message) => bar.update(Math.round(fraction * 1000), { message: message.slice(0, 60) }),
    finish(message) {
      if (message !== undefined) bar.update(1000, { message });
      bar.stop();
    },
  };
}

/** A log gets at most one line in this time. */
const lineIntervalMs = 1000;

function lineProgress(label: string, stream: NodeJS.WriteStream): Progress {
  let last = "";
  let lastAtMs = -lineIntervalMs;
  return {
    update(fraction, message) {
      const line = `${label}: ${Math.round(fraction * 100)} % ${message}\n`;
      if (line === last || performance.now() - lastAtMs < lineIntervalMs) return;
      last = line;
      lastAtMs = performance.now();
      stream.write(line);
    },
    finish(message) {
      if (message !== undefined) stream.write(`${label}: ${message}\n`);
    },
  };
}

/** A rate of less time than this would say more of the connection's start than of its speed. */
const leastRateMs = 500;

/** Bytes done and total, mean rate and time left, for transfers. */
export function transferMessage(doneBytes: number, totalBytes: number, elapsedMs: number): string {
  const amount = `${bytes(doneBytes)} of ${bytes(totalBytes)}`;
  if (elapsedMs < leastRateMs || doneBytes === 0) return amount;
  const bytesPerSecond = doneBytes / (elapsedMs / 1000);
  const leftMs = ((totalBytes - doneBytes) / bytesPerSecond) * 1000;
  return `${amount}, ${bytes(Math.round(bytesPerSecond))}/s, ${prettyMs(leftMs, { secondsDecimalDigits: 0 })} left`;
}
