import { DeviceProfile } from "@espalier/shared/contracts/profile";
import type { ListProfilesResponse__Output } from "@espalier/shared/generated/espalier/v1/ListProfilesResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { unary } from "../client.ts";
import type { Listing } from "../output/print.ts";
import { shortDigest, time, unknown } from "../output/quantities.ts";
import { addList } from "./list-command.ts";

const listing: Listing<DeviceProfile> = {
  name: ({ version }) => String(version),
  none: "not measured yet; a plan measures the devices that it selects",
  columns: [
    { title: "VERSION", cell: ({ version }) => String(version) },
    { title: "MEASURED", cell: ({ measuredAtMs }) => time(measuredAtMs, false) },
    { title: "TOOK", cell: ({ measuringSeconds: took }) => (took === null ? unknown : `${took.toFixed(0)} s`) },
    { title: "THREADS", cell: ({ budget }) => String(budget.threads) },
    { title: "QUOTA", cell: ({ budget }) => (budget.cpuQuota === null ? "none" : `${budget.cpuQuota} cores`) },
    {
      title: "BANDWIDTH",
      cell: ({ measurements: { memoryBandwidthBytesPerSecond: rate } }) =>
        rate === null ? unknown : `${(rate.median / 1e9).toFixed(1)} GB/s`,
    },
    { title: "KEPT BUSY", cell: ({ measurements }) => keptBusy(measurements), wide: true },
    {
      title: "KIT",
      cell: ({ measurements: { kit } }) => (kit === null ? unknown : shortDigest(kit.kitDigest)),
      wide: true,
    },
    { title: "RUNTIME", cell: ({ inventory }) => inventory.onnxruntimeVersion, wide: true },
    { title: "WHY", cell: ({ reason }) => reason || unknown, wraps: true },
  ],
};

/** How much slower it ended than it began, where it was kept busy. */
function keptBusy({ kit }: DeviceProfile["measurements"]): string {
  const sustained = kit?.timings.find((timing) => timing.sustained !== undefined)?.sustained;
  if (sustained === undefined) return unknown;
  return `×${(sustained.last.median / sustained.first.median).toFixed(2)} in ${sustained.seconds} s`;
}

/** A device's measured profiles, newest first. */
export async function listProfiles(client: OperatorClient, device: string): Promise<DeviceProfile[]> {
  const { profiles } = await unary<ListProfilesResponse__Output>((done) => client.listProfiles({ device }, done));
  return profiles.map((document) => fromDocument(document, DeviceProfile));
}

export function addProfileList(device: Command): void {
  addList(device, {
    name: "profiles <device>",
    description: "what was measured of a device and when, newest first; -o json has every timing",
    examples: [["espalier device profiles pi", "how often it was measured, and why each time"]],
    listing,
    labels: ({ version, inventory }) => ({ version: String(version), runtime: inventory.onnxruntimeVersion }),
    selectorHelp: "only this version or runtime, e.g. version=2",
    fetch: (client, _options, [name = ""]) => listProfiles(client, name),
  });
}
