import { Budget, BudgetEnforcement, DeviceProfile, Inventory } from "@espalier/shared/contracts/profile";
import { Proof } from "@espalier/shared/contracts/proof";
import { EspalierError } from "@espalier/shared/errors";
import type { Device__Output } from "@espalier/shared/generated/espalier/v1/Device";
import type { LabelDeviceResponse__Output } from "@espalier/shared/generated/espalier/v1/LabelDeviceResponse";
import type { ListDevicesResponse__Output } from "@espalier/shared/generated/espalier/v1/ListDevicesResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { ReadmitDeviceResponse__Output } from "@espalier/shared/generated/espalier/v1/ReadmitDeviceResponse";
import { fromDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { messages, unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { state } from "../output/colour.ts";
import { renderDevice, standing } from "../output/device.ts";
import type { Listing } from "../output/print.ts";
import { startProgress } from "../output/progress.ts";
import { ago, bytes, labelText, milliseconds, time, unknown } from "../output/quantities.ts";
import { showOne, withClient } from "../session.ts";
import { confirm } from "./confirm.ts";
import { logsCommand } from "./device-logs.ts";
import { addProfileList } from "./device-profiles.ts";
import { addReferenceCommands } from "./device-references.ts";
import { addEventList } from "./events.ts";
import { readLabelChanges } from "./labels.ts";
import { addList } from "./list-command.ts";

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
  none: "no devices; a device joins with a token: espalier token create",
  columns: [
    { title: "NAME", cell: (device) => device.name },
    { title: "ID", cell: (device) => device.deviceId, wide: true },
    { title: "STATE", cell: (device) => state(standing(device)) },
    { title: "SEEN", cell: (device) => (device.online ? "now" : time(device.lastSeenAtMs, false)) },
    { title: "THREADS", cell: (device) => String(device.budget?.threads ?? unknown) },
    { title: "QUOTA", cell: (device) => (device.budget?.cpuQuota ? `${device.budget.cpuQuota} cores` : "none") },
    { title: "MEMORY", cell: (device) => bytes(device.budget?.memoryBytes ?? device.inventory?.memoryTotalBytes) },
    { title: "DISK", cell: (device) => bytes(device.budget?.diskBytes ?? device.inventory?.diskFreeBytes), wide: true },
    { title: "CPU", cell: (device) => device.inventory?.cpuModel ?? unknown, wide: true },
    { title: "MEASURED", cell: (device) => (device.profile ? ago(device.profile.measuredAtMs, Date.now()) : "no") },
    { title: "VARIANT", cell: (device) => device.activeVariantName || unknown },
    { title: "TPOT", cell: (device) => milliseconds(device.proof?.timing?.tpotMs.median) },
    { title: "TTFT", cell: (device) => milliseconds(device.proof?.timing?.ttftMs.median), wide: true },
    { title: "PEAK", cell: (device) => bytes(device.proof?.timing?.peakMemoryBytes), wide: true },
    { title: "LABELS", cell: ({ labels }) => labelText(labels) },
    { title: "WHY", cell: (device) => device.stateReason, wide: true, wraps: true },
  ],
};

async function findDevice(client: OperatorClient, name: string): Promise<DeviceView> {
  const [found] = await listDevices(client, "", name);
  if (found !== undefined) return found;
  throw new EspalierError("device.unknown", `no device is called ${name}`, {
    fields: { device: name },
    remedy: "espalier device list -o name",
  });
}

export function deviceCommand(program: Command): void {
  const device = program.command("device").description("the devices of the fleet");
  addList(device, {
    name: "list",
    description: "devices, what they may use and what they run",
    examples: [
      ["espalier device list -l tier=small,site!=lab", "some of them, by label"],
      ["espalier device list -w", "see them change"],
      ["espalier device list -o name | xargs -n1 espalier device show", "one after the other"],
    ],
    listing,
    labels: ({ labels }) => labels,
    selectorHelp: "only devices with these labels, e.g. tier=small,site!=lab",
    fetch: (client, { selector }) => listDevices(client, selector),
  });
  addExamples(
    device
      .command("show <device>")
      .description("what one device is, may use, runs and measured, by id or name; -o yaml has everything")
      .action((name: string, _options, command) =>
        showOne(command, { name: listing.name, text: renderDevice }, (client) => findDevice(client, name)),
      ),
    [["espalier device show pi -o json | jq .budget", "what its owner lets it use"]],
  );
  addEventList(
    device,
    {
      name: "events <device>",
      description: "what happened to a device: enrolled, connected, each step of an assignment, and why it failed",
      examples: [["espalier device events pi --since 2h", "what it went through lately"]],
    },
    (name) => ({ device: name }),
  );
  addProfileList(device);
  addReferenceCommands(device);
  logsCommand(device);
  addExamples(
    device
      .command("label <device> <changes...>")
      .description("set labels (key=value) and remove them (key-)")
      .action(async (name: string, changes: string[], _options, command) => {
        const { set, remove } = readLabelChanges(changes);
        await withClient(command, async (client) => {
          const { labels } = await unary<LabelDeviceResponse__Output>((done) =>
            client.labelDevice({ device: name, set, remove }, done),
          );
          process.stderr.write(`${name}: ${labelText(labels) || "no labels"}\n`);
        });
      }),
    [["espalier device label pi site=hall tier-", "give it a site, and take its tier away"]],
  );
  addExamples(
    device
      .command("measure")
      .description("measure devices anew with the kit of a model")
      .requiredOption("--model <model>", "the model whose shapes are timed")
      .option("-l, --selector <selector>", "only devices with these labels", "")
      .option(
        "--sustained <seconds>",
        "also keep each busy for so long, and count in how much slower it gets",
        Number,
        0,
      )
      .action(async ({ sustained, ...options }: { model: string; selector: string; sustained: number }, command) => {
        await withClient(command, (client) => measureDevices(client, { ...options, sustainedSeconds: sustained }));
      }),
    [
      ["espalier device measure --model smol -l tier=small", "after a change of hardware or cooling"],
      ["espalier device measure --model smol -l case=closed --sustained 300", "devices that may get too hot"],
    ],
  );
  addExamples(
    device
      .command("readmit <device>")
      .description("let a device whose certificate expired while it was away have a new one, once, within a week")
      .action(async (name: string, _options, command) => {
        await withClient(command, async (client) => {
          const { untilMs } = await unary<ReadmitDeviceResponse__Output>((done) =>
            client.readmitDevice({ device: name }, done),
          );
          process.stderr.write(`${name} may come back until ${time(untilMs, false)}; it asks by itself every minute\n`);
        });
      }),
    [["espalier device readmit kiosk-7", "its events say device.asks-readmission"]],
  );
  addExamples(
    device
      .command("decommission <device>")
      .description("end a device's life in the fleet: shut out, its assignment, series and name given up")
      .option("--yes", "don't ask")
      .action(async (name: string, options: { yes?: boolean }, command) => {
        await withClient(command, async (client) => {
          const found = await findDevice(client, name);
          if (options.yes !== true) await confirm(`Take ${found.name} (${found.deviceId}) out of the fleet for good?`);
          await unary((done) => client.decommissionDevice({ device: found.deviceId }, done));
          process.stderr.write(`${found.name} has left the fleet\n`);
        });
      }),
    [["espalier device decommission kiosk-7", "scrapped or given away; its name is free again"]],
  );
  addExamples(
    device
      .command("revoke <device>")
      .description("shut a device out for good: its connections are cut, its certificate is refused")
      .option("--yes", "don't ask")
      .action(async (name: string, options: { yes?: boolean }, command) => {
        await withClient(command, async (client) => {
          const found = await findDevice(client, name);
          if (options.yes !== true) await confirm(`Shut out ${found.name} (${found.deviceId}) for good?`);
          await unary((done) => client.revokeDevice({ device: found.deviceId }, done));
          process.stderr.write(`${found.name} is shut out; with a new token it can enroll as a new device\n`);
        });
      }),
    [["espalier device revoke kiosk-7", "stolen, sold or broken"]],
  );
}

/** Measures and shows progress; throws when a device failed. */
export async function measureDevices(
  client: OperatorClient,
  request: { model: string; selector: string; sustainedSeconds?: number },
) {
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
