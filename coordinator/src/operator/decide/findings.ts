import { expiryFinding, type Finding } from "@espalier/shared/contracts/finding";

/** What the coordinator knows of its own state. */
export interface CoordinatorFacts {
  readonly nowMs: number;
  readonly version: string;
  readonly dataFolder: string;
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number };
  readonly brokerConnected: boolean;
  /** When the oldest message that is owed to the broker was decided; null: none is. */
  readonly oldestOwedAtMs: number | null;
  /** Null while the broker can't say. */
  readonly builders: number | null;
  /** When certificates end, by what they are. */
  readonly certificates: readonly { readonly what: string; readonly expiresAtMs: number; readonly fix: string }[];
  readonly devices: readonly {
    readonly name: string;
    readonly online: boolean;
    readonly agentVersion: string | null;
    readonly state: string;
  }[];
  /** Names of rollouts that wait for a person. */
  readonly pausedRollouts: readonly string[];
}

const gib = 2 ** 30;
/** Less is not enough for one more model of a useful size; a tenth of the disk is where an operator should act. */
const leastFreeBytes = gib;
const leastFreeShare = 0.1;
const owedTooLongMs = 60_000;
const maxNames = 5;

/** One finding for each thing that was looked at, well or not. */
export function coordinatorFindings(facts: CoordinatorFacts): Finding[] {
  return [
    broker(facts),
    disk(facts),
    builders(facts),
    ...facts.certificates.map(({ what, expiresAtMs, fix }) =>
      expiryFinding("certificates", what, expiresAtMs, facts.nowMs, fix),
    ),
    devices(facts),
    versions(facts),
    ...rollouts(facts),
  ];
}

function broker({ brokerConnected, oldestOwedAtMs, nowMs }: CoordinatorFacts): Finding {
  const check = "nats";
  if (!brokerConnected) {
    const fix =
      "see the coordinator's log for nats-server; with an external broker: is it up, and its URL and credentials right?";
    return { check, level: "error", message: "the coordinator has no connection to NATS", fix };
  }
  const owedMs = oldestOwedAtMs === null ? 0 : nowMs - oldestOwedAtMs;
  if (owedMs > owedTooLongMs) {
    const message = `a decision has not reached NATS for ${Math.round(owedMs / 1000)} s`;
    return {
      check,
      level: "warning",
      message,
      fix: "see the coordinator's log for what NATS refuses, often a full disk",
    };
  }
  return { check, level: "ok", message: "connected, nothing is owed to it", fix: "" };
}

function disk({ disk: { freeBytes, totalBytes }, dataFolder }: CoordinatorFacts): Finding {
  const share = totalBytes === 0 ? 0 : freeBytes / totalBytes;
  const message = `${(freeBytes / gib).toFixed(1)} of ${(totalBytes / gib).toFixed(1)} GiB free for ${dataFolder}`;
  const fix = `free space there, or move the data folder to a larger disk (stop the coordinator, copy it, start with --data)`;
  if (freeBytes < leastFreeBytes) return { check: "disk", level: "error", message, fix };
  if (share < leastFreeShare) return { check: "disk", level: "warning", message, fix };
  return { check: "disk", level: "ok", message, fix: "" };
}

function builders({ builders: seen }: CoordinatorFacts): Finding {
  if (seen === null || seen === 0) {
    const message = seen === null ? "NATS can't say whether a builder waits" : "no builder waits for jobs";
    const fix =
      "start one: espalier-builder worker --nats URL --creds builder.creds (both are in the coordinator's endpoints.json)";
    return { check: "builders", level: "warning", message, fix };
  }
  return { check: "builders", level: "ok", message: `${seen} at work or waiting`, fix: "" };
}

function devices({ devices: all }: CoordinatorFacts): Finding {
  const offline = all.filter(({ online }) => !online).map(({ name }) => name);
  const failed = all.filter(({ state }) => state === "failed").map(({ name }) => name);
  if (all.length === 0) {
    return {
      check: "devices",
      level: "warning",
      message: "none is enrolled",
      fix: "make a token: espalier token create --help",
    };
  }
  const problems = [
    ...(offline.length > 0 ? [`offline: ${names(offline)}`] : []),
    ...(failed.length > 0 ? [`failed: ${names(failed)}`] : []),
  ];
  if (problems.length === 0) return { check: "devices", level: "ok", message: `all ${all.length} are online`, fix: "" };
  const fix = "espalier device events NAME says what happened; then see the agent's log on the device";
  return { check: "devices", level: "warning", message: problems.join("; "), fix };
}

function versions({ devices: all, version }: CoordinatorFacts): Finding {
  const others = all.filter(({ agentVersion }) => agentVersion !== null && agentVersion !== version);
  if (others.length === 0)
    return { check: "versions", level: "ok", message: `coordinator and agents: ${version}`, fix: "" };
  const message = `not ${version} as the coordinator: ${names(others.map(({ name, agentVersion }) => `${name} (${agentVersion})`))}`;
  return { check: "versions", level: "warning", message, fix: "install the coordinator's version of the agent there" };
}

function rollouts({ pausedRollouts }: CoordinatorFacts): Finding[] {
  return pausedRollouts.map((name) => ({
    check: "rollouts",
    level: "warning",
    message: `${name} is paused and waits for you`,
    fix: `espalier rollout status ${name}; then resume or abort it`,
  }));
}

function names(all: readonly string[]): string {
  const shown = all.slice(0, maxNames).join(", ");
  return all.length > maxNames ? `${shown} and ${all.length - maxNames} more` : shown;
}
