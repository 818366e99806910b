import { InvalidArgumentError } from "commander";

/** An agent to start on this machine, with the budget that makes it play a device of that size. */
export interface AgentSpec {
  name: string;
  labels: Record<string, string>;
  /** Passed through to the agent: `--threads`, `--memory`, `--disk`, `--cpu-quota`. */
  budget: Partial<Record<"threads" | "memory" | "disk" | "cpu-quota", string>>;
}

const budgetKeys = ["threads", "memory", "disk", "cpu-quota"] as const;

/** commander's collector of repeated `--agent name=edge,threads=1,memory=300MiB,cpu-quota=0.5,label.tier=small`. */
export function collectAgents(text: string, before: AgentSpec[]): AgentSpec[] {
  const spec: AgentSpec = { name: "", labels: {}, budget: {} };
  for (const part of text.split(",")) {
    const at = part.indexOf("=");
    const key = part.slice(0, at);
    const value = part.slice(at + 1);
    const budgetKey = budgetKeys.find((known) => known === key);
    if (at < 1) throw new InvalidArgumentError(`'${part}': expected key=value`);
    else if (key === "name") spec.name = value;
    else if (budgetKey !== undefined) spec.budget[budgetKey] = value;
    else if (key.startsWith("label.")) spec.labels[key.slice("label.".length)] = value;
    else throw new InvalidArgumentError(`'${key}': expected name, ${budgetKeys.join(", ")} or label.<key>`);
  }
  if (spec.name === "") throw new InvalidArgumentError("an agent needs name=<name>");
  return [...before, spec];
}
