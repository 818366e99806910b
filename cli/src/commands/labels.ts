import { InvalidArgumentError } from "commander";

/** commander's collector of repeated `--label key=value`. */
export function collectLabels(text: string, before: Record<string, string>): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("expected key=value");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/**
 * Reads `key=value` (set) and `key-` (remove).
 * @throws {InvalidArgumentError} naming the change that is neither
 */
export function readLabelChanges(changes: readonly string[]): { set: Record<string, string>; remove: string[] } {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  for (const change of changes) {
    const at = change.indexOf("=");
    if (at > 0) set[change.slice(0, at)] = change.slice(at + 1);
    else if (at < 0 && change.length > 1 && change.endsWith("-")) remove.push(change.slice(0, -1));
    else throw new InvalidArgumentError(`'${change}': expected key=value or key-`);
  }
  return { set, remove };
}
