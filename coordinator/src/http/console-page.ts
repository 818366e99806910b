import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { exportedQuality } from "../plan/decide/exported-quality.ts";
import { listDevices, type StoredDevice } from "../store/devices.ts";
import type { Store } from "../store/open.ts";
import { listRollouts } from "../store/rollouts.ts";
import { listVariants, type StoredVariant } from "../store/variants.ts";
import { type Html, html } from "./html.ts";

const shownRows = 200;
const style = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1f2a1f }
  table { border-collapse: collapse; width: 100%; margin-bottom: 2rem }
  th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d8dfd4; vertical-align: top }
  td.n { font-variant-numeric: tabular-nums }`;

/** The plain console: what runs where, and how rollouts stand. Read only; reload to refresh. */
export async function writeConsole(parts: { store: Store; isOnline: (deviceId: string) => boolean }): Promise<string> {
  const { store, isOnline } = parts;
  const devices = await listDevices(store.db);
  const variants = await listVariants(store.db);
  const rollouts = await listRollouts(store.db);
  const names = new Map(variants.map(({ artifactDigest, name }) => [artifactDigest, name]));
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Espalier</title><style>${style}</style></head>
<body><h1>Espalier</h1>
${table(
  "Devices",
  ["Device", "State", "Variant", "Connected", "Time per output token", "Note"],
  devices.slice(0, shownRows).map((device) => deviceRow(device, names, isOnline)),
)}
${table("Rollouts", ["Rollout", "Phase", "Devices", "Waves", "Note"], rollouts.slice(0, shownRows).map(rolloutRow))}
${table("Variants", ["Variant", "Model", "Size", "Perplexity", "Agreement with dense"], variants.slice(0, shownRows).map(variantRow))}
</body></html>`;
  return page.text;
}

function table(title: string, heads: readonly string[], rows: readonly Html[]): Html {
  const header = heads.map((head) => html`<th>${head}</th>`);
  return html`<h2>${title} (${rows.length})</h2><table><thead><tr>${header}</tr></thead><tbody>${rows}</tbody></table>`;
}

function deviceRow(
  device: StoredDevice,
  names: ReadonlyMap<string, string>,
  isOnline: (deviceId: string) => boolean,
): Html {
  const variant = names.get(device.activeArtifactDigest ?? "") ?? "none";
  const tpot = device.status.proof?.timing?.tpotMs.median;
  return html`<tr><td>${device.name}</td><td>${device.status.state}</td><td>${variant}</td><td>${isOnline(device.id) ? "yes" : "no"}</td><td class="n">${tpot === undefined ? "" : `${tpot.toFixed(1)} ms`}</td><td>${device.status.reason}</td></tr>`;
}

function rolloutRow({ spec, phase, reason, devices, waves }: RolloutState): Html {
  const active = devices.filter((device) => device.phase === "active").length;
  const states = waves.map(({ name, state }) => `${name} ${state}`).join(", ");
  return html`<tr><td>${spec.name}</td><td>${phase}</td><td class="n">${active} of ${devices.length} active</td><td>${states}</td><td>${reason}</td></tr>`;
}

function variantRow({ name, modelName, totalBytes, report }: StoredVariant): Html {
  const quality = exportedQuality(report);
  const size = `${(totalBytes / 2 ** 20).toFixed(1)} MiB`;
  return html`<tr><td>${name}</td><td>${modelName}</td><td class="n">${size}</td><td class="n">${quality?.perplexity.toFixed(2) ?? ""}</td><td class="n">${quality?.agreement.toFixed(3) ?? ""}</td></tr>`;
}
