import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { Device } from "@espalier/shared/generated/espalier/v1/Device";
import type { MeasureDevicesEvent } from "@espalier/shared/generated/espalier/v1/MeasureDevicesEvent";
import type { MeasureDevicesRequest__Output } from "@espalier/shared/generated/espalier/v1/MeasureDevicesRequest";
import { toDocument } from "@espalier/shared/grpc";
import { matchesSelector, parseSelector } from "@espalier/shared/selector";
import type { Builds } from "../builds/builds.ts";
import { kitFormats } from "../builds/weight-formats.ts";
import type { DeviceMethods } from "../grpc/operator.ts";
import { createMessageQueue } from "../grpc/session/message-queue.ts";
import { requireLabels } from "../identity/device-labels.ts";
import { setLabels } from "../store/device-changes.ts";
import { findDeviceByIdOrName, listDevices, type StoredDevice } from "../store/devices.ts";
import { recordEvent } from "../store/events.ts";
import type { Store } from "../store/open.ts";
import { findProfile, listProfileHistory } from "../store/profiles.ts";
import { findTree, listTrees, type StoredTree } from "../store/trees.ts";
import { listVariants } from "../store/variants.ts";
import type { DecommissionDevice } from "./decommission-device.ts";
import type { DeviceMeasurer, MeasureProgress } from "./measure-device.ts";
import type { ReadmitDevice } from "./readmit-device.ts";
import type { RevokeDevice } from "./revoke-device.ts";

/** Long enough for a small device to reach the heat that it stays at (ours). */
const maxSustainedSeconds = 900;

/** The operator's view of devices. */
export function deviceMethods(parts: {
  store: Store;
  isOnline: (deviceId: string) => boolean;
  measurer: DeviceMeasurer;
  builds: Pick<Builds, "ensureKit">;
  revoke: RevokeDevice;
  readmit: ReadmitDevice;
  decommission: DecommissionDevice;
  now: () => number;
}): DeviceMethods {
  const { store, isOnline, measurer, builds, revoke, readmit, decommission, now } = parts;

  async function select(selector: string, device: string): Promise<StoredDevice[]> {
    parseSelector(selector);
    const found = device === "" ? null : await findDeviceByIdOrName(store.db, device);
    const all = device === "" ? await listDevices(store.db) : found === null ? [] : [found];
    return all.filter(({ labels }) => matchesSelector(selector, labels));
  }

  return {
    async listDevices({ selector, device }) {
      const variants = new Map((await listVariants(store.db)).map((variant) => [variant.artifactDigest, variant.name]));
      const devices: Device[] = [];
      for (const stored of await select(selector, device)) {
        const profile = await findProfile(store.db, stored.id);
        devices.push({
          ...describe(stored),
          online: isOnline(stored.id),
          activeVariantName: variants.get(stored.activeArtifactDigest ?? "") ?? "",
          profile: profile === null ? null : toDocument("DeviceProfile", profile),
        });
      }
      return { devices };
    },
    async labelDevice({ device, set, remove }, { operator }) {
      const labels = await store.inTransaction(async (transaction) => {
        const stored = await findDeviceByIdOrName(transaction, device);
        if (stored === null) {
          throw new EspalierError("device.unknown", `no device is called ${device}`, {
            fields: { device },
            remedy: "see `espalier device list`",
          });
        }
        const kept = Object.entries(stored.labels).filter(([key]) => !remove.includes(key));
        const next = requireLabels({ ...Object.fromEntries(kept), ...set });
        await setLabels(transaction, stored.id, next);
        await recordEvent(transaction, {
          atMs: now(),
          deviceId: stored.id,
          kind: "device.labelled",
          message: `labelled by ${operator}`,
          data: { labels: next },
        });
        return next;
      });
      return { labels };
    },
    async listProfiles({ device }) {
      const [found] = await select("", device);
      if (device === "" || found === undefined) {
        throw new EspalierError("device.unknown", `no device is called ${device}`, {
          fields: { device },
          remedy: "see `espalier device list`",
        });
      }
      const profiles = await listProfileHistory(store.db, found.id);
      return { profiles: profiles.map((profile) => toDocument("DeviceProfile", profile)) };
    },
    revokeDevice: async ({ device }, { operator }) => ({ deviceId: await revoke(device, operator) }),
    readmitDevice: ({ device }, { operator }) => readmit(device, operator),
    decommissionDevice: async ({ device }, { operator }) => ({ deviceId: await decommission(device, operator) }),
    async *measureDevices(request, { signal }) {
      const devices = (await select(request.selector, "")).filter(({ id }) => isOnline(id));
      if (devices.length === 0) {
        throw new EspalierError("device.offline", "no selected device is online", {
          remedy: "see `espalier device list`",
        });
      }
      const measure = await suiteOf(request, signal);
      yield* merged(devices.map((device) => events(device.id, measure)));
    },
  };

  /** What to run on each device, once the kit is there. */
  async function suiteOf(request: MeasureDevicesRequest__Output, signal: AbortSignal) {
    const { variantDigest: artifactDigest, promptTokens, outputTokens, sustainedSeconds } = request;
    if (sustainedSeconds > maxSustainedSeconds) {
      throw new EspalierError("measurement.malformed", `a device is kept busy for ${maxSustainedSeconds} s at most`);
    }
    if (artifactDigest !== "") {
      const run = { artifactDigest, promptTokens: promptTokens || 64, outputTokens: outputTokens || 24 };
      return (deviceId: string) => measurer.withVariant(deviceId, run, signal);
    }
    const kit = await builds.ensureKit(await modelNamed(request.model), kitFormats([]), { signal });
    return (deviceId: string) => measurer.withKit(deviceId, kit.digest, signal, { sustainedSeconds });
  }

  async function modelNamed(name: string): Promise<StoredTree> {
    const [newest] = (await listTrees(store.db)).filter(({ kind }) => kind === "model");
    const model = name === "" ? newest : await findTree(store.db, "model", name);
    if (model) return model;
    throw new EspalierError("model.unknown", name === "" ? "no model is imported" : `no model "${name}" is imported`, {
      remedy: "import it with `espalier model import`",
    });
  }
}

/** One device's failure is an event, not the end of the others. */
async function* events(
  deviceId: string,
  measure: (deviceId: string) => AsyncIterable<MeasureProgress>,
): AsyncGenerator<MeasureDevicesEvent> {
  try {
    for await (const { state, message, fraction, measurements } of measure(deviceId)) {
      const document = measurements === null ? null : toDocument("Measurements", measurements);
      yield { deviceId, state: `STATE_${state.toUpperCase()}`, message, fraction, measurements: document };
    }
  } catch (error) {
    yield { deviceId, state: "STATE_FAILED", message: messageOf(error), fraction: 1, measurements: null };
  }
}

async function* merged<Value>(sources: readonly AsyncIterable<Value>[]): AsyncGenerator<Value> {
  const queue = createMessageQueue<Value>();
  const all = Promise.all(
    sources.map(async (source) => {
      for await (const value of source) queue.push(value);
    }),
  );
  all.then(
    () => queue.end(),
    (error: unknown) => queue.fail(error),
  );
  yield* queue;
}

function describe(device: StoredDevice): Device {
  const { inventory, budget, enforcement, status } = device;
  return {
    deviceId: device.id,
    name: device.name,
    labels: device.labels,
    lastSeenAtMs: device.lastSeenAtMs ?? 0,
    activeArtifactDigest: device.activeArtifactDigest ?? "",
    state: status.state,
    stateReason: status.reason,
    localApiUrl: device.localApiUrl,
    inventory: inventory === null ? null : toDocument("Inventory", inventory),
    budget: budget === null ? null : toDocument("Budget", budget),
    enforcement: enforcement === null ? null : toDocument("BudgetEnforcement", enforcement),
    proof: status.proof === null ? null : toDocument("Proof", status.proof),
  };
}
