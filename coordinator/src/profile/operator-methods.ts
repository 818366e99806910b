import { Kit } from "@espalier/shared/contracts/kit";
import { LayerProfile } from "@espalier/shared/contracts/layer-profile";
import { formatKey } from "@espalier/shared/contracts/shape";
import { EspalierError } from "@espalier/shared/errors";
import type { ProfileModelEvent } from "@espalier/shared/generated/espalier/v1/ProfileModelEvent";
import type { ProfileModelRequest__Output } from "@espalier/shared/generated/espalier/v1/ProfileModelRequest";
import { toDocument } from "@espalier/shared/grpc";
import type { BlobStore } from "../blobs/blob-store.ts";
import { readDocument } from "../blobs/read-tree.ts";
import type { Builds } from "../builds/builds.ts";
import { composeProfile } from "../builds/compose-job.ts";
import { requestResult } from "../builds/request-result.ts";
import type { ProfileMethods } from "../grpc/operator.ts";
import { createMessageQueue } from "../grpc/session/message-queue.ts";
import { fitDevice } from "../predict/decide/device-model.ts";
import { prepareKit } from "../predict/decide/kit-designs.ts";
import { findDeviceByIdOrName, listDevices } from "../store/devices.ts";
import { listKits } from "../store/kits.ts";
import type { Store } from "../store/open.ts";
import { findProfileWithKit } from "../store/profiles.ts";
import { requireTree, type StoredTree } from "../store/trees.ts";
import { type ProfiledDevice, profileModel } from "./decide/profile-model.ts";

/** Each block is evaluated twice over this text: enough to tell blocks apart, and minutes rather than an hour. */
const text = { evaluationTokens: 1024, sequenceLength: 256, seed: 0 };
const defaultContextTokens = 256;

/** Profiles a model: what each part costs, and how much quality hangs on it. The builder's part is made once and kept. */
export function profileMethods(parts: {
  store: Store;
  blobs: BlobStore;
  builds: Pick<Builds, "request" | "completed">;
}): ProfileMethods {
  const { store } = parts;

  async function layerProfile(
    model: StoredTree,
    evaluation: StoredTree | null,
    signal: AbortSignal,
    tell: (event: ProfileModelEvent) => void,
  ): Promise<LayerProfile> {
    const job = composeProfile(model, { evaluationDigest: evaluation?.digest ?? null, ...text });
    return requestResult(parts, job, LayerProfile, signal, tell);
  }

  async function work(
    request: ProfileModelRequest__Output,
    signal: AbortSignal,
    tell: (event: ProfileModelEvent) => void,
  ): Promise<void> {
    const model = await requireTree(store.db, "model", request.model);
    const evaluation = request.evaluation === "" ? null : await requireTree(store.db, "dataset", request.evaluation);
    const device = await profiledDevice(parts, model, request);
    const profile = profileModel({
      modelName: model.name,
      profile: await layerProfile(model, evaluation, signal, tell),
      contextTokens: request.contextTokens || defaultContextTokens,
      device,
    });
    tell({ message: "profiled", fraction: 1, profile: toDocument("ModelProfile", profile) });
  }

  return {
    async *profileModel(request, { signal }) {
      const queue = createMessageQueue<ProfileModelEvent>();
      work(request, signal, (event) => queue.push(event)).then(
        () => queue.end(),
        (error: unknown) => queue.fail(error),
      );
      yield* queue;
    },
  };
}

/** The asked device, or the first that measured this model's kit; null where none did. */
async function profiledDevice(
  { store, blobs }: { store: Store; blobs: BlobStore },
  model: StoredTree,
  request: ProfileModelRequest__Output,
): Promise<ProfiledDevice | null> {
  const asked = request.device === "" ? null : await findDeviceByIdOrName(store.db, request.device);
  if (request.device !== "" && asked === null) {
    throw new EspalierError("device.unknown", `there is no device "${request.device}"`, {
      fields: { device: request.device },
      remedy: "espalier device list",
    });
  }
  const kits = new Map(
    (await listKits(store.db)).filter((kit) => kit.modelDigest === model.digest).map((kit) => [kit.digest, kit]),
  );
  for (const device of asked === null ? await listDevices(store.db) : [asked]) {
    const profile = await findProfileWithKit(store.db, device.id, (digest) => kits.has(digest));
    const measurements = profile?.measurements;
    const kit = kits.get(measurements?.kit?.kitDigest ?? "");
    if (measurements === undefined || kit === undefined) continue;
    const prepared = prepareKit(await readDocument(blobs, kit.digest, Kit));
    const modelOf = fitDevice(prepared, measurements);
    const formats = prepared.formats.flatMap(({ key, reference }) => {
      const model = modelOf(key);
      return model === null ? [] : [{ format: formatKey(reference.shape.linearFormat), model }];
    });
    const chosen = formats.find(({ format }) => request.format === "" || format === request.format);
    if (chosen === undefined) {
      throw new EspalierError("profile.format-not-measured", `${device.name} has not timed ${request.format}`, {
        fields: { device: device.name, format: request.format },
        remedy: `it timed ${formats.map(({ format }) => format).join(", ")}`,
      });
    }
    const bandwidth = measurements.memoryBandwidthBytesPerSecond?.median ?? null;
    return { name: device.name, ...chosen, memoryBandwidthBytesPerSecond: bandwidth };
  }
  if (asked === null) return null;
  throw new EspalierError("profile.not-measured", `${asked.name} has not measured the kit of ${model.name}`, {
    fields: { device: asked.name, model: model.name },
    remedy: "a plan for this model measures the devices it selects: espalier plan -f",
  });
}
