import type { Kysely, Transaction } from "kysely";

/**
 * Every table as rows see it. Only portable types: text, 64-bit integers and doubles; JSON is text that the query files
 * parse by its zod contract on the way out, times are milliseconds since 1970.
 */
export interface Tables {
  meta: { key: string; value: string };
  enrollmentTokens: {
    hash: string;
    labels: string;
    expiresAtMs: number;
    createdAtMs: number;
    usedAtMs: number | null;
    usedBy: string | null;
  };
  devices: DeviceRow;
  operators: OperatorRow;
  profiles: { deviceId: string; measuredAtMs: number; profile: string };
  referenceProfiles: { name: string; importedAtMs: number; importedBy: string; profile: string };
  profileHistory: { deviceId: string; version: number; measuredAtMs: number; profile: string };
  trees: { digest: string; kind: string; name: string; sizeBytes: number; importedAtMs: number };
  kits: { digest: string; modelDigest: string; formatsKey: string; createdAtMs: number };
  jobs: JobRow;
  sensitivity: { modelDigest: string; key: string; reportDigest: string; report: string };
  variants: VariantRow;
  rollouts: { id: string; name: string; phase: string; state: string; createdAtMs: number; updatedAtMs: number };
  assignments: AssignmentRow;
  outbox: { id: string; kind: string; subject: string; createdAtMs: number };
  events: EventRow;
  audit: {
    id: string;
    atMs: number;
    who: string;
    action: string;
    target: string;
    outcome: string;
    detail: string;
  };
}

export interface DeviceRow {
  id: string;
  name: string;
  labels: string;
  certificateSerial: string;
  natsPublicKey: string;
  createdAtMs: number;
  revokedAtMs: number | null;
  lastSeenAtMs: number | null;
  hostId: string | null;
  inventory: string | null;
  budget: string | null;
  enforcement: string | null;
  localApiUrl: string;
  activeArtifactDigest: string | null;
  /** What the device last reported, for which generation and artifact. */
  state: string;
  stateReason: string;
  stateAtMs: number | null;
  stateEpoch: number;
  stateN: number;
  stateArtifactDigest: string | null;
  downloadedBytes: number;
  totalBytes: number;
  proof: string | null;
}

export interface OperatorRow {
  name: string;
  role: string;
  certificateSerial: string;
  createdAtMs: number;
  createdBy: string;
  expiresAtMs: number;
  revokedAtMs: number | null;
}

export interface JobRow {
  id: string;
  kind: string;
  job: string;
  state: string;
  attempt: number;
  sequence: number;
  stage: string;
  fraction: number;
  message: string;
  builderId: string | null;
  resultDigest: string | null;
  createdAtMs: number;
  updatedAtMs: number;
}

export interface VariantRow {
  artifactDigest: string;
  recipeDigest: string;
  modelDigest: string;
  /** The id of the job that built it: model, recipe, data and settings together. */
  buildKey: string;
  name: string;
  modelName: string;
  manifestBytes: number;
  totalBytes: number;
  wireBytes: number | null;
  report: string;
  builtAtMs: number;
}

export interface AssignmentRow {
  deviceId: string;
  epoch: number;
  n: number;
  artifactDigest: string | null;
  rolloutId: string | null;
  issuedAtMs: number;
  assignment: string;
}

export interface EventRow {
  id: string;
  atMs: number;
  deviceId: string | null;
  rolloutId: string | null;
  kind: string;
  message: string;
  data: string;
}

/** What queries run on: the store itself or a transaction. */
export type Queries = Kysely<Tables>;

/** Writes that belong together take this, so that nobody can run them one by one. */
export type StoreTransaction = Transaction<Tables>;
