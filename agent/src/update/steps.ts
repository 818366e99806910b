import { compareGenerations, type Generation } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { ModelSlot, ServedModel } from "../api/model-slot.ts";
import type { ChunkStore } from "../download/chunk-store.ts";
import { type ObtainDeps, obtainVariant } from "../download/obtain-variant.ts";
import { damagedFiles } from "../download/verify-files.ts";
import type { HostLock } from "../measure/host-lock.ts";
import { timeGeneration } from "../measure/time-generation.ts";
import { type Installed, nothingProven, type StateStore } from "./agent-state.ts";
import type { AssignedVariant, Step } from "./decide/next-step.ts";
import * as transitions from "./decide/transitions.ts";
import { type LoadDeps, type LoadedVariant, loadVariant } from "./load-variant.ts";
import { firstLogitsCosine } from "./probe.ts";
import { prove } from "./prove.ts";
import type { Reporter } from "./reporter.ts";
import { leastVariantBytes, type MemoryWindow, type VariantMemory } from "./variant-memory.ts";

export interface StepDeps {
  readonly state: StateStore;
  readonly slot: ModelSlot;
  readonly obtain: ObtainDeps;
  readonly load: LoadDeps;
  readonly chunks: ChunkStore;
  readonly memory: VariantMemory;
  readonly memoryBudgetBytes: number | null;
  readonly hostLock: HostLock;
  /** `/sys`, where energy counters are. */
  readonly sys: string;
  readonly reporter: Reporter;
  /** A variant began to serve, or none does: telemetry is published at once. */
  readonly onServing: (installed: Installed | null) => void;
  readonly clock: { now(): number };
  readonly log: { warn(fields: object, message: string): void };
}

/** One executor per action; a new step doesn't compile until it is handled. */
export type Executors = {
  readonly [Action in Exclude<Step["action"], "wait">]: (
    step: Extract<Step, { action: Action }>,
    signal: AbortSignal,
  ) => Promise<void>;
};

export function createExecutors(deps: StepDeps & { readonly wake: () => void }): Executors {
  const { state, slot, reporter, clock, memory } = deps;

  /** Serves a variant from now on; requests that run on the replaced one end on it. */
  const serve = async (loaded: LoadedVariant, installed: Installed): Promise<void> => {
    const model = { ...installed, variantName: installed.name, runtime: loaded.runtime, tokenizer: loaded.tokenizer };
    const drained = slot.swap(model);
    deps.onServing(installed);
    void loaded.runtime.crashed.then((error) => giveUp(model, error));
    await drained;
  };
  /** A model whose thread is lost is no longer served, and restored like one whose process died. */
  const giveUp = async (model: ServedModel, error: Error): Promise<void> => {
    deps.log.warn(
      { artifactDigest: model.artifactDigest, reason: messageOf(error) },
      "the active variant is loaded anew",
    );
    if (slot.current === model) await slot.swap(null);
    deps.wake();
  };
  const serveNothing = async (): Promise<void> => {
    await slot.swap(null);
  };

  /** A full disk must not keep a device from serving what it has. */
  const countRestore = (count: (attempts: number) => number): Promise<void> =>
    state
      .change((now) => ({ ...now, restoreAttempts: count(now.restoreAttempts) }))
      .catch((error: unknown) => deps.log.warn({ error: messageOf(error) }, "restoring could not be counted"));

  const fail = async (
    about: { generation: Generation; artifactDigest: Digest },
    reason: string,
    proof = nothingProven,
  ): Promise<void> => {
    await state.change((now) => transitions.failed(now, { ...about, reason, proof, atMs: clock.now() }));
  };

  return {
    async restore(_step, signal) {
      const installed = state.value.active;
      if (installed === null) return;
      const { artifactDigest } = installed;
      await countRestore((attempts) => attempts + 1);
      await checkFiles(artifactDigest, signal);
      const loaded = await loadVariant(deps.load, artifactDigest, signal);
      try {
        await checkFirstLogits(loaded, signal);
      } catch (error) {
        await loaded.runtime.close();
        throw error;
      }
      await serve(loaded, installed);
      await countRestore(() => 0);
    },

    async demote({ reason, fetchAgain }) {
      const { active } = state.value;
      if (active === null) return;
      const { artifactDigest } = active;
      deps.log.warn({ artifactDigest, reason }, "the active variant can't be loaded any more");
      await serveNothing();
      await state.change((now) => transitions.demoted(now, { fetchAgain, reason, atMs: clock.now() }));
      await deps.obtain.variants.remove(artifactDigest);
    },

    fail: ({ generation, digest, reason }) => fail({ generation, artifactDigest: digest }, reason),

    async clear({ generation }) {
      await state.change((now) => transitions.cleared(now, generation));
      await serveNothing();
      deps.onServing(null);
    },

    settle: ({ generation }) => state.change((now) => transitions.settledUnchanged(now, generation)),

    async report({ generation }) {
      const { active, failures } = state.value;
      const failure = failures.findLast((one) => compareGenerations(one.generation, generation) === 0);
      if (failure !== undefined) await reporter.end({ ...failure, generation }, "failed", failure);
      else if (active !== null)
        await reporter.end({ generation, artifactDigest: active.artifactDigest }, "active", active);
      else await reporter.end({ generation, artifactDigest: null }, "idle");
      await state.change((now) => transitions.reported(now, generation));
    },

    async obtain({ generation, variant }, signal) {
      const about = { generation, artifactDigest: variant.artifactDigest };
      await reporter.state(about, "assigned");
      await obtainVariant(deps.obtain, variant, (progress) => reporter.progress(about, progress), signal);
    },

    async prove({ generation, variant }, signal) {
      const about = { generation, artifactDigest: variant.artifactDigest };
      await reporter.state(about, "proving");
      const refusal = await makeMemoryRoom(variant);
      if (refusal !== null) return fail(about, refusal);
      await state.change((now) => transitions.trialBegun(now, generation, variant.artifactDigest));
      const window = await memory.open();
      let loaded: LoadedVariant | undefined;
      try {
        loaded = await loadVariant(deps.load, variant.artifactDigest, signal);
        const { proof, reason } = await proveLoaded(loaded, variant, window, signal);
        signal.throwIfAborted();
        if (reason !== null) {
          await loaded.runtime.close();
          return await fail(about, reason, proof);
        }
        const installed: Installed = {
          artifactDigest: variant.artifactDigest,
          name: variant.name,
          modelName: variant.modelName,
          activatedAtMs: clock.now(),
          proof,
        };
        await state.change((now) => transitions.activated(now, generation, installed));
        await serve(loaded, installed);
      } catch (error) {
        if (slot.current?.runtime !== loaded?.runtime || loaded === undefined) {
          await loaded?.runtime.close();
        }
        if (signal.aborted) {
          await state.change(transitions.trialAbandoned);
          throw error;
        }
        if (state.value.settled !== generation) return fail(about, `loading or proving failed: ${messageOf(error)}`);
        throw error;
      }
    },

    async collect({ remove }) {
      for (const artifactDigest of remove) await deps.obtain.variants.remove(artifactDigest);
      await deps.chunks.retain(new Set());
    },
  };

  async function proveLoaded(
    loaded: LoadedVariant,
    variant: AssignedVariant,
    window: MemoryWindow,
    signal: AbortSignal,
  ) {
    const { runtime, probe } = loaded;
    const text = probe.prompts.flatMap(({ tokens }) => tokens);
    const { promptTokens, outputTokens, ...limits } = variant.timing;
    const { artifactDigest } = variant;
    const peakMemoryBytes = (): number => window.peakAloneBytes();
    const time = async (): Promise<Awaited<ReturnType<typeof timeGeneration>>> => {
      const release = await deps.hostLock.acquire(signal, () => undefined);
      try {
        const task = {
          artifactDigest,
          runtime,
          text,
          promptTokens,
          outputTokens,
          limits,
          peakMemoryBytes,
          sys: deps.sys,
        };
        return await timeGeneration(task, signal);
      } finally {
        await release();
      }
    };
    return prove({ runtime, probe, time, memoryBudgetBytes: deps.memoryBudgetBytes }, signal);
  }

  /**
   * A file may have broken while the agent was away (a power cut, a worn card), and not every broken file fails to load.
   * @throws {EspalierError} `variant.damaged`
   */
  async function checkFiles(artifactDigest: Digest, signal: AbortSignal): Promise<void> {
    const { variants } = deps.obtain;
    const manifest = variants.manifest(artifactDigest);
    const damaged =
      manifest === undefined
        ? ["its manifest"]
        : await damagedFiles(variants.folder(artifactDigest), manifest.files, signal);
    if (damaged.length === 0) return;
    throw new EspalierError("variant.damaged", `Not what was fetched any more: ${damaged.join(", ")}.`, {
      fields: { artifactDigest, damaged: damaged.join(",") },
    });
  }

  /**
   * Refuses what can't fit the owner's memory budget even alone. Where it fits alone but not beside the active variant,
   * that one stops serving meanwhile; should the new one fail, it is restored.
   */
  async function makeMemoryRoom({ artifactDigest }: AssignedVariant): Promise<string | null> {
    const manifest = deps.obtain.variants.manifest(artifactDigest);
    if (deps.memoryBudgetBytes === null || manifest === undefined) return null;
    const neededBytes = leastVariantBytes(manifest.shape, deps.load.contextTokens);
    const aloneBytes = memory.baseBytes() + neededBytes;
    if (aloneBytes > deps.memoryBudgetBytes)
      return `needs at least ${aloneBytes} bytes of memory (agent ${memory.baseBytes()}, weights and KV cache ${neededBytes}); the owner's budget is ${deps.memoryBudgetBytes}`;
    if (slot.current !== null && deps.memory.residentBytes() + neededBytes > deps.memoryBudgetBytes) {
      deps.log.warn({ neededBytes }, "no memory for two variants: serving stops while the new one is proven");
      await serveNothing();
    }
    return null;
  }
}

/** After every load: an artifact that loads but computes something else must not serve. */
async function checkFirstLogits({ runtime, probe }: LoadedVariant, signal: AbortSignal): Promise<void> {
  const cosine = await firstLogitsCosine(runtime, probe, signal);
  if (!(cosine >= probe.firstLogits.minCosine))
    throw new EspalierError(
      "variant.first-logits",
      `First logits have cosine ${cosine} with the builder's; at least ${probe.firstLogits.minCosine} is needed.`,
    );
}
