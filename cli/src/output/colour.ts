import { styleText } from "node:util";

/*
 * Colours appear on a terminal only: `styleText` asks the stream, and NO_COLOR and FORCE_COLOR, each time. Whoever renders
 * for stdout uses these; what a program reads (json, yaml, name) never passes here.
 */

const good = ["active", "allowed", "complete", "ok", "online", "pass", "passed", "succeeded", "yes"];
const bad = ["dead", "denied", "error", "fail", "failed", "revoked", "expired"];
const watchOut = ["begun", "inconclusive", "paused", "rolled-back", "warning", "aborted"];
const quiet = ["offline", "none", "skipped", "waiting", "pending", "new", "idle"];

/** A word for a state in the colour of what it means: fine, wrong, look here, at rest; others are in progress. */
export function state(word: string): string {
  if (word === "" || word === "-") return word;
  if (good.includes(word)) return styleText("green", word);
  if (bad.includes(word)) return styleText("red", word);
  if (watchOut.includes(word)) return styleText("yellow", word);
  return quiet.includes(word) ? styleText("dim", word) : styleText("cyan", word);
}

/** Text that shall be noticed. */
export function warning(text: string): string {
  return styleText("yellow", text);
}

export function heading(text: string): string {
  return styleText("bold", text);
}

export function dim(text: string): string {
  return styleText("dim", text);
}
