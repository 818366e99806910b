import { Selector } from "./contracts/rollout-spec.ts";
import { EspalierError } from "./errors.ts";

/** One requirement: the label must (`equals`) or must not have this value. An absent label counts as empty. */
export interface Requirement {
  readonly key: string;
  readonly equals: boolean;
  readonly value: string;
}

/**
 * Reads `key=value,key!=value`; empty means no requirement.
 * @throws {EspalierError} `selector.malformed`
 */
export function parseSelector(selector: string): Requirement[] {
  if (!Selector.safeParse(selector).success) {
    throw new EspalierError("selector.malformed", `"${selector}" is no label selector`, {
      fields: { selector },
      remedy: "write key=value or key!=value, separated by commas",
    });
  }
  if (selector === "") return [];
  return selector.split(",").map((part) => {
    const [key, value] = part.split(/!?=/, 2);
    return { key: key ?? "", equals: !part.includes("!="), value: value ?? "" };
  });
}

/**
 * Whether labels meet every requirement of a selector; the empty selector matches all.
 * @throws {EspalierError} `selector.malformed`
 */
export function matchesSelector(selector: string, labels: Readonly<Record<string, string>>): boolean {
  return meets(parseSelector(selector), labels);
}

/** Whether labels meet every requirement. */
export function meets(requirements: readonly Requirement[], labels: Readonly<Record<string, string>>): boolean {
  return requirements.every(({ key, equals, value }) => ((labels[key] ?? "") === value) === equals);
}
