import { dim } from "./colour.ts";

const nameWidth = 18;

/** Named facts about one thing, a line each. An empty fact is left out. */
export function renderFacts(facts: readonly (readonly [name: string, value: string])[]): string {
  return facts
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${dim(name.padEnd(nameWidth))}${value}\n`)
    .join("");
}
