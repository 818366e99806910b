import { Budget, BudgetEnforcement, DeviceProfile, Inventory } from "@espalier/shared/contracts/profile";
import { Proof } from "@espalier/shared/contracts/proof";
import { EspalierError } from "@espalier/shared/errors";
import type { Device__Output } from "@espalier/shared/generated/espalier/v1/Device";
import type { ListDevicesResponse__Output } from "@espalier/shared/generated/espalier/v1/ListDevicesResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { stringify } from "yaml";
import { messages, unary } from "../client.ts";
import { type Listing, renderList } from "../output/print.ts";
import { startProgress } from "../output/progress.ts";
import { ago, bytes, milliseconds, unknown } from "../output/quantities.ts";
import { withClient } from "../session.ts";

/** A device with its documents read. */
export function readDevice(device: Device__Output) {
  const { inventory, budget, enforcement, profile, proof, ...plain } = device;
  return {
    ...plain,
    inventory: inventory && fromDocument(inventory, Inventory),
    budget: budget && fromDocument(budget, Budget),
    enforcement: enforcement && fromDocument(enforcement, BudgetEnforcement),
    profile: profile && fromDocument(profile, DeviceProfile),
    proof: proof && fromDocument(proof, Proof),
  };
}
export type DeviceView = ReturnType<typeof readDevice>;

export async function listDevices(client: OperatorClient, selector: string, device = ""): Promise<DeviceView[]> {
  const { devices } = await unary<ListDevicesResponse__Output>((done) =>
    client.listDevices({ selector, device }, done),
  );
  return devices.map(readDevice);
}

const listing: Listing<DeviceView> = {
  name: (device) => device.name,
  columns: [
    { title: "NAME", cell: (device) => device.name },
    { title: "STATE", cell: (device) => (device.online ? device.state || "online" : "offline") },
    { title: "SEEN", cell: (device) => ago(device.lastSeenAtMs, Date.now()) },
    { title: "THREADS", cell: (device) => String(device.budget?.threads ?? unknown) },
    { title: "QUOTA", cell: (device) => (device.budget?.cpuQuota ? `${device.budget.cpuQuota} cores` : "none") },
    { title: "MEMORY", cell: (device) => bytes(device.budget?.memoryBytes ?? device.inventory?.memoryTotalBytes) },
    { title: "MEASURED", cell: (device) => (device.profile ? ago(device.profile.measuredAtMs, Date.now()) : "no") },
    { title: "VARIANT", cell: (device) => device.activeVariantName || unknown },
    { title: "TPOT", cell: (device) => milliseconds(device.proof?.timing?.tpotMs.median) },
    {
      title: "LABELS",
      cell: ({ labels }) =>
        Object.entries(labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(","),
    },
  ],
};

export function deviceCommand(program: Command): void {
  const device = program.command("device").description("the devices of the fleet");
  device
    .command("list")
    .description("devices, what they may use and what they run")
    .option("-l, --selector <selector>", "only devices with these labels, e.g. tier=small,site!=lab", "")
    .action(async (options: { selector: string }, command) => {
      await withClient(command, async (client, { output }) => {
        process.stdout.write(renderList(await listDevices(client, options.selector), listing, output));
      });
    });
  device
    .command("show <device>")
    .description("everything known of one device, by id or name")
    .action(async (name: string, _options, command) => {
      await withClient(command, async (client, { output }) => {
        const [found] = await listDevices(client, "", name);
        if (found === undefined) {
          throw new EspalierError("device.unknown", `no device is called ${name}`, {
            fields: { device: name },
            remedy: "espalier device list -o name",
          });
        }
        process.stdout.write(output === "json" ? `${JSON.stringify(found, null, 2)}\n` : stringify(found));
      });
    });
  device
    .command("measure")
    .description("measure devices anew with the kit of a model")
    .requiredOption("--model <name>", "the model whose shapes are timed")
    .option("-l, --selector <selector>", "only devices with these labels", "")
    .action(async (options: { model: string; selector: string }, command) => {
      await withClient(command, (client) => measureDevices(client, options));
    });
}

/** Measures and shows progress; throws when a device failed. */
export async function measureDevices(client: OperatorClient, request: { model: string; selector: string }) {
  const progress = startProgress("measure");
  const failures: string[] = [];
  for await (const event of messages(client.measureDevices(request))) {
    progress.update(event.fraction, `${event.deviceId} ${event.state.toLowerCase()} ${event.message}`);
    if (event.state === "STATE_FAILED") failures.push(`${event.deviceId}: ${event.message}`);
  }
  progress.finish(failures.length === 0 ? "done" : "failed");
  if (failures.length > 0) {
    throw new EspalierError("measurement.failed", failures.join("; "), { remedy: "see the agent's log on the device" });
  }
}
