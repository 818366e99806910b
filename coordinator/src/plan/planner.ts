import { FileTree } from "@espalier/shared/contracts/files";
import { Kit } from "@espalier/shared/contracts/kit";
import { Manifest } from "@espalier/shared/contracts/manifest";
import type { Plan } from "@espalier/shared/contracts/plan";
import { recipeName } from "@espalier/shared/contracts/recipe";
import type { SensitivityReport } from "@espalier/shared/contracts/report";
import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { matchesSelector } from "@espalier/shared/selector";
import type { BlobStore } from "../blobs/blob-store.ts";
import { readDocument } from "../blobs/read-tree.ts";
import { composeBuild } from "../builds/compose-job.ts";
import { measuredProfile } from "../devices/measured-profile.ts";
import { listDevices, type StoredDevice } from "../store/devices.ts";
import type { StoredKit } from "../store/kits.ts";
import type { Store } from "../store/open.ts";
import { findVariant, findVariantByBuild, listVariants } from "../store/variants.ts";
import { checkIndexOf } from "./check-index.ts";
import { presentCorrections } from "./corrections.ts";
import { type Candidate, floorBreaches } from "./decide/candidate.ts";
import { exportedQuality } from "./decide/exported-quality.ts";
import { makePlan, type PlanDevice } from "./decide/make-plan.ts";
import { plannedBuilds } from "./decide/planned-builds.ts";
import { atBest } from "./decide/slice-bounds.ts";
import type { ResolvedSpec } from "./resolve-spec.ts";
import { typicalBuildSeconds } from "./typical-build.ts";
import { hypotheticalDevices, type WhatIf } from "./what-if.ts";

/** Tokens that an agent's KV cache has room for by default: prompt and answer together. */
const servedContextTokens = 2048;

/** Probe set, report, manifest and chat configuration of an artifact (ours: SmolLM2's take 44 KiB). */
const documentBytes = 64 * 1024;
/** Of a `tokenizer.json` that is still inside a GGUF file (ours: SmolLM2's takes 72 bytes an entry). */
const tokenizerBytesPerEntry = 80;

export interface PlanInputs {
  resolved: ResolvedSpec;
  kit: StoredKit;
  sensitivity: SensitivityReport;
  /** Whether a device is connected, for the reason why it was not measured. */
  isOnline: (deviceId: string) => boolean;
  /** Devices to count in as if they were there. */
  whatIf?: readonly WhatIf[];
}

export interface Planner {
  /** Plans with every candidate; the quality of those that are built comes from their reports. */
  plan(inputs: PlanInputs): Promise<Plan>;
  /**
   * Plans again after the variants and fallbacks of `previous` were built: with built ones only, unless one of them fell below
   * the quality floor and others must be considered.
   */
  planAgain(inputs: PlanInputs, previous: Plan): Promise<Plan>;
  /** The check index that `plan` would give now. */
  checkIndex(inputs: PlanInputs): Promise<string>;
}

export function createPlanner({ store, blobs }: { store: Store; blobs: BlobStore }): Planner {
  async function candidatesOf({ resolved, sensitivity }: PlanInputs): Promise<Candidate[]> {
    const candidates: Candidate[] = [];
    for (const { recipe, recipeDigest, shape, quality, slices } of sensitivity.candidates) {
      const base = { recipe, recipeDigest, name: recipeName(recipe) };
      const built = await findVariantByBuild(store.db, composeBuild(resolved.settings, recipe).jobId);
      const reported = built === null ? null : exportedQuality(built.report);
      if (built === null || reported === null) {
        candidates.push({
          ...base,
          shape,
          quality,
          qualitySource: "sensitivity",
          dense: sensitivity.dense,
          slices: slices.map(atBest),
          artifact: null,
        });
        continue;
      }
      const manifest = await readDocument(blobs, built.artifactDigest, Manifest);
      candidates.push({
        ...base,
        shape: manifest.shape,
        quality: reported,
        qualitySource: "report",
        dense: built.report.dense.quality,
        slices: built.report.slices,
        artifact: { digest: built.artifactDigest, totalBytes: built.totalBytes, wireBytes: built.wireBytes },
      });
    }
    return candidates;
  }

  async function devicesOf({ resolved, kit, isOnline }: PlanInputs): Promise<PlanDevice[]> {
    const devices: PlanDevice[] = [];
    for (const device of selectDevices(await listDevices(store.db), resolved.spec)) {
      const profile = await measuredProfile(store.db, device, kit);
      devices.push({
        deviceId: device.id,
        name: device.name,
        labels: device.labels,
        profile,
        missing: isOnline(device.id) ? "not measured with the kit of this model" : "offline and not measured",
        active: await activeOf(device),
      });
    }
    return devices;
  }

  async function activeOf({ activeArtifactDigest }: StoredDevice): Promise<PlanDevice["active"]> {
    if (activeArtifactDigest === null) return null;
    const variant = await findVariant(store.db, activeArtifactDigest);
    return {
      artifactDigest: activeArtifactDigest,
      variantName: variant?.name ?? "unknown",
      totalBytes: variant?.totalBytes ?? 0,
    };
  }

  async function planWith(inputs: PlanInputs, candidates: readonly Candidate[]): Promise<Plan> {
    const { spec, settings, modelName } = inputs.resolved;
    const tree = await readDocument(blobs, settings.model.digest, FileTree);
    const kit = await readDocument(blobs, inputs.kit.digest, Kit);
    const { whatIf = [] } = inputs;
    const devices = [
      ...(await devicesOf(inputs)),
      ...(await hypotheticalDevices(store.db, whatIf, { stored: inputs.kit, graphs: kit })),
    ];
    const corrections = await presentCorrections(store.db);
    return makePlan({
      spec,
      modelDigest: settings.model.digest,
      modelName,
      kit,
      candidates,
      devices,
      buildSeconds: typicalBuildSeconds(await listVariants(store.db, { modelDigest: settings.model.digest })),
      corrections,
      // A plan of devices that aren't there can't be applied.
      checkIndex: whatIf.length > 0 ? "" : checkIndexOf(inputs.resolved, { candidates, devices, corrections }),
      contextTokens: servedContextTokens,
      companionBytes: companionBytes(tree, kit),
    });
  }

  return {
    plan: async (inputs) => planWith(inputs, await candidatesOf(inputs)),
    checkIndex: async (inputs) =>
      checkIndexOf(inputs.resolved, {
        candidates: await candidatesOf(inputs),
        devices: await devicesOf(inputs),
        corrections: await presentCorrections(store.db),
      }),
    async planAgain(inputs, previous) {
      const candidates = await candidatesOf(inputs);
      const built = await planWith(
        inputs,
        candidates.filter(({ artifact }) => artifact !== null),
      );
      const served = ({ variants }: Plan) => variants.reduce((sum, { devices }) => sum + devices, 0);
      const wanted = new Set(plannedBuilds(previous).map(({ recipeDigest }) => recipeDigest));
      const chosen = candidates.filter(({ recipeDigest }) => wanted.has(recipeDigest));
      const { qualityFloor } = inputs.resolved.spec;
      const allAboveFloor = chosen.every((c) => floorBreaches(c, qualityFloor).length === 0);
      return allAboveFloor && served(built) >= served(previous) ? built : planWith(inputs, candidates);
    },
  };
}

export function selectDevices(
  devices: readonly StoredDevice[],
  { selector }: Pick<RolloutSpec, "selector">,
): StoredDevice[] {
  return devices.filter(({ labels }) => matchesSelector(selector, labels));
}

/** What an artifact that isn't built will hold besides its weights: graph, tokenizer and documents. */
function companionBytes(model: FileTree, kit: Kit): number {
  const graphBytes = Math.max(...kit.files.map(({ sizeBytes }) => sizeBytes));
  const smallFiles = model.files.filter(({ path }) => !/\.(safetensors|gguf)$/.test(path));
  const vocabularySize = kit.graphs[0]?.shape.vocabularySize ?? 0;
  const hasTokenizer = smallFiles.some(({ path }) => path === "tokenizer.json");
  const tokenizerBytes = hasTokenizer ? 0 : tokenizerBytesPerEntry * vocabularySize;
  return smallFiles.reduce((sum, { sizeBytes }) => sum + sizeBytes, graphBytes + tokenizerBytes + documentBytes);
}
