import { InvalidArgumentError } from "commander";

/** commander's collector of repeated `--label key=value`. */
export function collectLabels(text: string, before: Record<string, string>): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("expected key=value");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
