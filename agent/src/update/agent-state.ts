import { Assignment, Generation } from "@espalier/shared/contracts/assignment";
import { Digest } from "@espalier/shared/contracts/digest";
import { Proof } from "@espalier/shared/contracts/proof";
import { z } from "zod";
import { openDocumentFile } from "../store/document-file.ts";

export const nothingProven: Proof = {
  schemaVersion: 1,
  firstLogitsCosine: null,
  agreementWithBuilder: null,
  agreementWithDense: null,
  positions: 0,
  timing: null,
};

/** A variant that proved itself on this device. */
export const Installed = z.strictObject({
  artifactDigest: Digest,
  name: z.string(),
  modelName: z.string(),
  activatedAtMs: z.int(),
  proof: Proof,
});
export type Installed = z.infer<typeof Installed>;

const Subject = z.strictObject({ generation: Generation, artifactDigest: Digest });
/** `attempts`: how often it was begun; states written before this was counted have one. */
const Trial = z.strictObject({ ...Subject.shape, attempts: z.int().positive().default(1) });

/** Why a variant did not become active, with what was measured as far as it got. */
const Failure = z.strictObject({
  ...Subject.shape,
  reason: z.string(),
  proof: Proof.default(nothingProven),
  atMs: z.int(),
});
export type Failure = z.infer<typeof Failure>;

/** What an agent must not forget: written before each act that it describes. */
export const AgentState = z.strictObject({
  schemaVersion: z.literal(1),
  assignment: Assignment.nullable(),
  /** The last thing the coordinator vouched for over the mutual-TLS session. */
  vouch: Subject.nullable(),
  /** The generation that reached its end here, well or badly; it and older ones are never acted on again. */
  settled: Generation.nullable(),
  /** The settled generation whose end is in the outbox; behind `settled`, its report is still to be made. */
  reported: Generation.nullable().default(null),
  active: Installed.nullable(),
  /** What was active before: kept on disk to go back to. */
  previous: Installed.nullable(),
  /** Set before a variant is loaded for the first time, so that crashes while proving it are counted. */
  trial: Trial.nullable(),
  /** Starts in a row that began to load the active variant and did not finish. */
  restoreAttempts: z.int().nonnegative(),
  failures: z.array(Failure).max(20),
});
export type AgentState = z.infer<typeof AgentState>;

export const initialState = (): AgentState => ({
  schemaVersion: 1,
  assignment: null,
  vouch: null,
  settled: null,
  reported: null,
  active: null,
  previous: null,
  trial: null,
  restoreAttempts: 0,
  failures: [],
});

export interface StateStore {
  /** What is on disk. */
  readonly value: AgentState;
  /** Applies a change to the newest state; durable when it returns. Changes happen in call order. */
  change(apply: (state: AgentState) => AgentState): Promise<void>;
}

export async function openStateStore(
  path: string,
  log: { warn(fields: object, message: string): void },
): Promise<StateStore> {
  const file = await openDocumentFile({ path, schema: AgentState, initial: initialState, log });
  let tail: Promise<void> = Promise.resolve();
  return {
    get value() {
      return file.value;
    },
    change(apply) {
      const changed = tail.then(async () => {
        const next = apply(file.value);
        if (next !== file.value) await file.save(next);
      });
      tail = changed.catch(() => undefined);
      return changed;
    },
  };
}
