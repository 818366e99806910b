import type { MachineState } from "@espalier/shared/contracts/telemetry";

/** What is remembered of a device's machine between two snapshots. */
export interface KnownMachine {
  readonly machine: MachineState;
  /** When throttling was last told; null: never. */
  readonly toldThrottledAtMs: number | null;
}

export interface MachineNews {
  readonly kind: "device.on-battery" | "device.on-mains" | "device.throttled";
  readonly message: string;
}

/** A machine at its thermal limit is slowed down again and again: told once in this time. */
const throttledEveryMs = 3_600_000;

/**
 * What is worth an event: another source of power, and processors that are slowed down. The first snapshot of a device is what
 * later ones are compared with; it is news only where it is bad.
 */
export function machineNews(
  known: KnownMachine | null,
  machine: MachineState,
  nowMs: number,
): { readonly known: KnownMachine; readonly news: readonly MachineNews[] } {
  const news: MachineNews[] = [];
  const before = known?.machine ?? null;
  if (machine.powerSource === "battery" && before?.powerSource !== "battery")
    news.push({ kind: "device.on-battery", message: "runs on battery" });
  if (machine.powerSource === "mains" && before?.powerSource === "battery")
    news.push({ kind: "device.on-mains", message: "runs on mains again" });
  const toldAtMs = known?.toldThrottledAtMs ?? null;
  // Fewer than before: the machine has started anew.
  const since = before?.throttles != null && machine.throttles != null ? machine.throttles - before.throttles : 0;
  const isThrottled = machine.throttled === true || since > 0;
  const isDue = toldAtMs === null || nowMs - toldAtMs >= throttledEveryMs;
  if (!isThrottled || !isDue) return { known: { machine, toldThrottledAtMs: toldAtMs }, news };
  const at = machine.thermalCelsius === null ? "" : ` at ${Math.round(machine.thermalCelsius)} °C`;
  news.push({ kind: "device.throttled", message: `its processors are slowed down to stay cool${at}` });
  return { known: { machine, toldThrottledAtMs: nowMs }, news };
}
