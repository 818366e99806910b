import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { exportedQuality } from "../plan/decide/exported-quality.ts";
import { listDevices, type StoredDevice } from "../store/devices.ts";
import type { Store } from "../store/open.ts";
import { listRollouts } from "../store/rollouts.ts";
import { listVariants, type StoredVariant } from "../store/variants.ts";
import { type RangeName, writeCharts } from "./charts.ts";
import { type Html, html } from "./html.ts";
import type { QueryRange } from "./query-range.ts";
import { style } from "./style.ts";

const shownRows = 200;

/** The console: what runs where, how rollouts stand and the dashboard's charts. Read only; reload to refresh. */
export async function writeConsole(parts: {
  store: Store;
  isOnline: (deviceId: string) => boolean;
  queryRange: QueryRange | null;
  range: RangeName;
  nowMs: number;
}): Promise<string> {
  const { store, isOnline } = parts;
  const devices = await listDevices(store.db);
  const variants = await listVariants(store.db);
  const rollouts = await listRollouts(store.db);
  const names = new Map(variants.map(({ artifactDigest, name }) => [artifactDigest, name]));
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Espalier</title><style>${style}</style></head>
<body><h1>Espalier</h1>
${tiles(devices, rollouts, isOnline)}
<h2>The fleet over time</h2>
${await writeCharts(parts)}
${table(
  "Devices",
  ["Device", "State", "Variant", "Connected", "Time per output token", "Note"],
  devices.map((device) => deviceRow(device, names, isOnline)),
)}
${table("Rollouts", ["Rollout", "Phase", "Devices", "Waves", "Note"], rollouts.map(rolloutRow))}
${table("Variants", ["Variant", "Model", "Size", "Perplexity", "Agreement with dense"], variants.map(variantRow))}
</body></html>`;
  return page.text;
}

function tiles(
  devices: readonly StoredDevice[],
  rollouts: readonly RolloutState[],
  isOnline: (deviceId: string) => boolean,
): Html {
  const online = devices.filter(({ id }) => isOnline(id)).length;
  const active = devices.filter(({ activeArtifactDigest }) => activeArtifactDigest !== null);
  const kinds = new Set(active.map(({ activeArtifactDigest }) => activeArtifactDigest)).size;
  const failed = devices.filter(({ status }) => status.state === "failed").length;
  const paused = rollouts.filter(({ phase }) => phase === "paused").length;
  return html`<div class="tiles">
<div><b>${online} of ${devices.length}</b>devices connected</div>
<div><b>${active.length}</b>serve a model, in ${kinds} ${kinds === 1 ? "variant" : "variants"}</div>
<div><b class="${failed > 0 ? "bad" : "good"}">${failed}</b>devices refused their variant</div>
<div><b class="${paused > 0 ? "wait" : "good"}">${paused}</b>rollouts wait for a person</div></div>`;
}

function table(title: string, heads: readonly string[], rows: readonly Html[]): Html {
  const header = heads.map((head) => html`<th>${head}</th>`);
  if (rows.length === 0) return html`<h2>${title}</h2><p class="note">none yet</p>`;
  const count = rows.length > shownRows ? `${shownRows} of ${rows.length}` : String(rows.length);
  return html`<h2>${title} (${count})</h2><div class="table"><table><thead><tr>${header}</tr></thead><tbody>${rows.slice(0, shownRows)}</tbody></table></div>`;
}

/** How a state of a device or a phase of a rollout is coloured. */
function tone(word: string): string {
  if (["active", "complete"].includes(word)) return "good";
  if (["failed", "rolled-back", "aborted"].includes(word)) return "bad";
  return word === "paused" ? "wait" : "";
}

function deviceRow(
  device: StoredDevice,
  names: ReadonlyMap<string, string>,
  isOnline: (deviceId: string) => boolean,
): Html {
  const { state, reason, proof } = device.status;
  const variant = names.get(device.activeArtifactDigest ?? "") ?? "none";
  const tpot = proof?.timing?.tpotMs.median;
  return html`<tr><td>${device.name}</td><td class="${tone(state)}">${state}</td><td>${variant}</td><td>${isOnline(device.id) ? "yes" : "no"}</td><td class="n">${tpot === undefined ? "" : `${tpot.toFixed(1)} ms`}</td><td>${reason}</td></tr>`;
}

function rolloutRow({ spec, phase, reason, devices, waves }: RolloutState): Html {
  const active = devices.filter((device) => device.phase === "active").length;
  const states = waves.map(({ name, state }) => `${name} ${state}`).join(", ");
  return html`<tr><td>${spec.name}</td><td class="${tone(phase)}">${phase}</td><td class="n">${active} of ${devices.length} active</td><td>${states}</td><td>${reason}</td></tr>`;
}

function variantRow({ name, modelName, totalBytes, report }: StoredVariant): Html {
  const quality = exportedQuality(report);
  const size = `${(totalBytes / 2 ** 20).toFixed(1)} MiB`;
  return html`<tr><td>${name}</td><td>${modelName}</td><td class="n">${size}</td><td class="n">${quality?.perplexity.toFixed(2) ?? ""}</td><td class="n">${quality === null ? "" : `${(100 * quality.agreement).toFixed(1)} %`}</td></tr>`;
}
