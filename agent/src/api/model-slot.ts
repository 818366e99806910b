import type { Digest } from "@espalier/shared/contracts/digest";
import type { Runtime } from "../runtime/runtime.ts";
import type { TextTokenizer } from "../text/tokenizer.ts";

/** A proven variant with all that serving needs. */
export interface ServedModel {
  /** What clients name: the base model's name, the same on every device and for every variant of it. */
  readonly modelName: string;
  /** The recipe it was built by. */
  readonly variantName: string;
  readonly artifactDigest: Digest;
  readonly activatedAtMs: number;
  readonly runtime: Runtime;
  readonly tokenizer: TextTokenizer;
}

/** A model held for one request. `release` must be called exactly once, also after errors. */
export interface ModelLease {
  readonly model: ServedModel;
  release(): void;
}

interface Occupant {
  readonly model: ServedModel;
  leases: number;
  retired: boolean;
  readonly drained: PromiseWithResolvers<void>;
}

/**
 * The model that is served now.
 *
 * INVARIANTS: a request keeps the model it started with until it ends; a replaced model's runtime is closed once,
 * when its last lease is gone; the slot owns the runtimes given to it.
 */
export class ModelSlot {
  #occupant: Occupant | null = null;

  /** Null while nothing is served. */
  get current(): ServedModel | null {
    return this.#occupant?.model ?? null;
  }

  acquire(): ModelLease | null {
    const occupant = this.#occupant;
    if (occupant === null) return null;
    occupant.leases += 1;
    let released = false;
    return {
      model: occupant.model,
      release: () => {
        if (released) return;
        released = true;
        occupant.leases -= 1;
        settleIfDrained(occupant);
      },
    };
  }

  /** Serves `next` (or nothing) from now on. Resolves when the replaced model has finished its requests and is closed. */
  async swap(next: ServedModel | null): Promise<void> {
    const replaced = this.#occupant;
    this.#occupant =
      next === null ? null : { model: next, leases: 0, retired: false, drained: Promise.withResolvers<void>() };
    if (replaced === null) return;
    replaced.retired = true;
    settleIfDrained(replaced);
    await replaced.drained.promise;
    await replaced.model.runtime.close();
  }
}

function settleIfDrained(occupant: Occupant): void {
  if (occupant.retired && occupant.leases === 0) occupant.drained.resolve();
}
