import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Assignment } from "@espalier/shared/contracts/assignment";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import type { Plan } from "@espalier/shared/contracts/plan";
import type { Proof } from "@espalier/shared/contracts/proof";
import type { Quality } from "@espalier/shared/contracts/quality";
import type { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { createLogger } from "@espalier/shared/logging";
import { openBlobStore } from "../../blobs/blob-store.ts";
import { parseDocument } from "../../blobs/read-tree.ts";
import { createBuilds } from "../../builds/builds.ts";
import { ingestJobEvents } from "../../builds/ingest-job-events.ts";
import { fakeResult, progressOf } from "../../builds/testing/fake-builder.ts";
import type { DeviceMeasurer } from "../../devices/measure-device.ts";
import { createPlanner } from "../../plan/planner.ts";
import { syntheticKit, syntheticProfile } from "../../predict/testing/synthetic-device.ts";
import { listAssignments } from "../../store/assignments.ts";
import { insertDevice, recordHello, recordReport } from "../../store/device-changes.ts";
import { listJobs } from "../../store/jobs.ts";
import { openSqliteStore } from "../../store/open.ts";
import { saveProfile } from "../../store/profiles.ts";
import { findRollout } from "../../store/rollouts.ts";
import { insertTree } from "../../store/trees.ts";
import { type RolloutEngine, startRolloutEngine } from "../engine.ts";
import { createMeasurementRuns } from "../measurement-runs.ts";

export interface FleetDevice {
  id: string;
  memoryMiB?: number;
  labels?: Record<string, string>;
  offline?: boolean;
}

/** What a device answers to an assignment; null: nothing (yet). */
export type Behaviour = (
  assignment: Assignment,
  planned: Plan["devices"][number] | undefined,
) => { state: "active" | "failed" | "downloading" | "idle"; proof?: Proof; reason?: string } | null;

const log = createLogger("test", "silent");

/**
 * A fleet around a real database and blob store: builder and devices are played by this file, so that a test can say
 * what they answer and stop the coordinator between any two writes.
 */
export async function startSmallFleet(t: TestContext, devices: readonly FleetDevice[]) {
  const folder = await mkdtemp(join(tmpdir(), "espalier-fleet-"));
  const store = await openSqliteStore(join(folder, "coordinator.db"));
  const blobs = await openBlobStore(join(folder, "blobs"));
  let nowMs = 1_000_000;
  const clock = () => nowMs;
  const kit = syntheticKit();
  let engine: RolloutEngine | null = null;
  let saves = 0;
  let dead = false;
  let rollouts = 0;
  t.after(async () => {
    await engine?.stop();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  const weights = Buffer.from("model weights");
  const chunk = { digest: await blobs.put(weights), sizeBytes: weights.length };
  const tree = {
    schemaVersion: 1,
    kind: "model",
    name: "model",
    files: [{ path: "w.gguf", sizeBytes: weights.length, digest: digestOfBytes(weights), chunks: [chunk] }],
  };
  const modelDigest = await blobs.put(Buffer.from(JSON.stringify(tree)));
  await insertTree(store.db, {
    digest: modelDigest,
    kind: "model",
    name: "model",
    sizeBytes: weights.length,
    importedAtMs: 1,
  });
  const profileOf = (device: FleetDevice) =>
    syntheticProfile({
      deviceId: device.id,
      kit,
      memoryBytes: device.memoryMiB === undefined ? null : device.memoryMiB * 2 ** 20,
    });
  for (const device of devices) {
    const { inventory, budget, enforcement } = profileOf(device);
    await store.inTransaction((transaction) =>
      insertDevice(transaction, {
        id: device.id,
        wantedName: device.id,
        labels: device.labels ?? {},
        certificateSerial: "01",
        natsPublicKey: "U",
        createdAtMs: 1,
      }),
    );
    await recordHello(store.db, {
      deviceId: device.id,
      inventory,
      budget,
      enforcement,
      activeArtifactDigest: null,
      localApiUrl: "",
      nowMs,
    });
  }

  const planner = createPlanner({ store, blobs });
  const builds = createBuilds({ store, wakeOutbox: () => {}, clock });
  const objects = new Map<Digest, Uint8Array>();
  const events = ingestJobEvents({
    store,
    blobs,
    clock,
    log,
    onJobChanged: (jobId) => builds.jobChanged(jobId),
    inbox: {
      async takeResult(digest, schema) {
        for (const bytes of objects.values()) await blobs.put(bytes);
        return parseDocument(await blobs.get(digest), digest, schema);
      },
    },
  });

  const measurer: Pick<DeviceMeasurer, "withKit"> = {
    async *withKit(deviceId, kitDigest) {
      const device = devices.find(({ id }) => id === deviceId) ?? { id: deviceId };
      const profile = profileOf(device);
      const timings = profile.measurements.kit?.timings ?? [];
      const measurements = { ...profile.measurements, kit: { kitDigest, timings } };
      await saveProfile(store.db, { ...profile, measurements });
      yield { deviceId, state: "succeeded", message: "", fraction: 1, measurements };
    },
  };

  function startEngine(options: { stopAfterSaves?: number } = {}): RolloutEngine {
    const started: RolloutEngine = startRolloutEngine({
      store,
      builds,
      planner,
      measurements: createMeasurementRuns({
        measurer,
        onEnded: () => {},
      }),
      isOnline: (deviceId) => !devices.find(({ id }) => id === deviceId)?.offline,
      clock,
      newId: () => `rollout-${++rollouts}`,
      wakeOutbox: () => {},
      log,
      tickMs: 3_600_000,
    });
    dead = false;
    let left = options.stopAfterSaves ?? Infinity;
    started.onChanged(() => {
      saves += 1;
      left -= 1;
      if (left > 0) return;
      dead = true;
      void started.stop();
    });
    engine = started;
    return started;
  }

  async function playBuilder(built: Readonly<Record<string, Quality>>): Promise<void> {
    for (const { job } of await listJobs(store.db, { states: ["queued"] })) {
      const result = fakeResult(job, { built });
      for (const [digest, bytes] of result.objects) objects.set(digest, bytes);
      await events.progress(progressOf(job, { state: "succeeded", fraction: 1, resultDigest: result.resultDigest }));
    }
  }

  async function playDevices(behaviour: Behaviour, state: RolloutState | null): Promise<void> {
    for (const assignment of await listAssignments(store.db)) {
      const planned = state?.plan?.devices.find(({ deviceId }) => deviceId === assignment.deviceId);
      const answer = behaviour(assignment, planned);
      if (answer === null) continue;
      const { epoch, n } = assignment.generation;
      await store.inTransaction((transaction) =>
        recordReport(
          transaction,
          {
            deviceId: assignment.deviceId,
            reportId: `${epoch}-${n}-${answer.state}`,
            generation: assignment.generation,
            artifactDigest: assignment.variant?.artifactDigest ?? null,
            state: answer.state,
            reason: answer.reason ?? "",
            atMs: nowMs,
            downloadedBytes: 1,
            totalBytes: 2,
            proof: answer.proof ?? null,
          },
          { rolloutId: assignment.rolloutId, nowMs },
        ),
      );
    }
  }

  return {
    store,
    blobs,
    builds,
    planner,
    measurer,
    playBuilder,
    assignments: () => listAssignments(store.db),
    startEngine,
    saves: () => saves,
    advanceClock: (ms: number) => {
      nowMs += ms;
    },
    /**
     * Lets coordinator, builder and devices take turns until nothing changes any more, or `until` holds. A coordinator
     * that was stopped by `stopAfterSaves` is replaced by a new one.
     */
    async play(
      options: {
        behaviour?: Behaviour;
        built?: Readonly<Record<string, Quality>>;
        until?: (state: RolloutState) => boolean;
      } = {},
    ): Promise<RolloutState> {
      let last = "";
      let unchanged = 0;
      for (let turn = 0; turn < 300; turn++) {
        if (dead) startEngine();
        await engine?.settle();
        await playBuilder(options.built ?? {});
        const state = await findRollout(store.db, `rollout-${rollouts}`);
        await playDevices(options.behaviour ?? provesItself, state);
        if (state !== null && options.until?.(state)) return state;
        const now = JSON.stringify([state, await listAssignments(store.db), saves]);
        unchanged = now === last ? unchanged + 1 : 0;
        // Measurements end by themselves between two turns.
        if (state !== null && unchanged > 4) return state;
        last = now;
      }
      throw new Error("the rollout never came to rest");
    },
  };
}

/** A device that does just what was predicted. */
export const provesItself: Behaviour = (assignment, planned) => {
  if (assignment.variant === null) return { state: "idle" };
  return { state: "active", proof: proofOf(assignment.variant.artifactDigest, planned) };
};

export function proofOf(artifactDigest: Digest, planned: Plan["devices"][number] | undefined, tpotFactor = 1): Proof {
  const prediction = planned?.choice?.prediction;
  const sample = (median: number) => ({ median, p90: median, relativeSpread: 0.01, repetitions: 10 });
  const each = (ms: number) => Array.from({ length: 10 }, () => ms);
  return {
    schemaVersion: 1,
    firstLogitsCosine: 1,
    agreementWithBuilder: 1,
    agreementWithDense: 0.9,
    positions: 64,
    timing: {
      artifactDigest,
      promptTokens: 64,
      outputTokens: 24,
      ttftMs: sample(prediction?.ttftMs.value ?? 1),
      tpotMs: sample((prediction?.tpotMs.value ?? 1) * tpotFactor),
      ttftEachMs: each(prediction?.ttftMs.value ?? 1),
      tpotEachMs: each((prediction?.tpotMs.value ?? 1) * tpotFactor),
      peakMemoryBytes: Math.round(prediction?.peakMemoryBytes.value ?? 1),
      joulesPerToken: null,
      loadMs: 1,
    },
  };
}
