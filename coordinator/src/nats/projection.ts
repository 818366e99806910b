import { isDeepStrictEqual } from "node:util";
import { Assignment } from "@espalier/shared/contracts/assignment";
import type { BuildJob } from "@espalier/shared/contracts/build";
import type { Digest } from "@espalier/shared/contracts/digest";
import { type FileEntry, FileTree } from "@espalier/shared/contracts/files";
import { Kit } from "@espalier/shared/contracts/kit";
import { Manifest } from "@espalier/shared/contracts/manifest";
import { streams, subjects } from "@espalier/shared/nats-names";
import { JetStreamApiError, type JetStreamClient } from "@nats-io/jetstream";
import type { ObjectStore } from "@nats-io/obj";
import { z } from "zod";
import type { BlobStore } from "../blobs/blob-store.ts";
import { distinctChunks, readDocument } from "../blobs/read-tree.ts";
import { type PutObject, putObject, putPacked } from "./objects.ts";
import type { Topology } from "./topology.ts";

/** Writes truth (database, blob store) to the broker. Everything here may be repeated at any time. */
export interface Projection {
  /** Puts a manifest or kit and its chunks where devices read. */
  putArtifact(digest: Digest): Promise<void>;
  /** Puts a single blob where devices read. */
  putArtifactBlob(digest: Digest): Promise<void>;
  /** Puts the job's model and datasets where builders read, then queues it; a job still queued stays queued once. */
  publishJob(job: BuildJob, messageId: string): Promise<void>;
  /** Puts the artifact, then the assignment. */
  putAssignment(assignment: Assignment): Promise<void>;
  /** Takes away what is kept of a device that left the fleet. */
  clearDevice(deviceId: string): Promise<void>;
  /** Puts the assignment where the bucket has none, another or an unreadable one. @returns whether it had to */
  repairAssignment(assignment: Assignment): Promise<boolean>;
}

const Artifact = z.union([Manifest, Kit]);
/** "maximum messages per subject exceeded" */
const alreadyQueued = 10_077;

export function createProjection(parts: {
  topology: () => Topology;
  client: JetStreamClient;
  blobs: BlobStore;
}): Projection {
  const { topology, client, blobs } = parts;

  async function putFiles(
    put: PutObject,
    bucket: ObjectStore,
    digest: Digest,
    files: readonly FileEntry[],
  ): Promise<void> {
    for (const chunk of distinctChunks(files)) await put(bucket, blobs, chunk.digest);
    // The list last: whoever finds it finds all it lists.
    await put(bucket, blobs, digest);
  }

  async function putArtifact(digest: Digest): Promise<void> {
    const { files } = await readDocument(blobs, digest, Artifact);
    await putFiles(putPacked, topology().artifacts, digest, files);
  }

  async function putAssignment(assignment: Assignment): Promise<void> {
    if (assignment.variant !== null) await putArtifact(assignment.variant.artifactDigest);
    await topology().assignments.put(assignment.deviceId, JSON.stringify(assignment));
  }

  return {
    putArtifact,
    putArtifactBlob: (digest) => putPacked(topology().artifacts, blobs, digest),
    putAssignment,
    async clearDevice(deviceId) {
      await topology().assignments.purge(deviceId);
      const manager = await client.jetstreamManager();
      await manager.streams.purge(streams.telemetry, { filter: subjects.telemetry(deviceId) });
    },
    async publishJob(job, messageId) {
      for (const digest of inputsOf(job)) {
        const { files } = await readDocument(blobs, digest, FileTree);
        await putFiles(putObject, topology().inputs, digest, files);
      }
      try {
        await client.publish(subjects.buildJob(job.jobId), JSON.stringify(job), { msgID: messageId });
      } catch (error) {
        if (!(error instanceof JetStreamApiError) || error.code !== alreadyQueued) throw error;
      }
    },
    async repairAssignment(assignment) {
      const entry = await topology().assignments.get(assignment.deviceId);
      const stored = entry === null ? null : Assignment.safeParse(safeJson(entry.string()));
      if (stored?.success && isDeepStrictEqual(stored.data, assignment)) return false;
      await putAssignment(assignment);
      return true;
    },
  };
}

function inputsOf(job: BuildJob): Digest[] {
  const texts = "evaluationDigest" in job ? [job.evaluationDigest] : [];
  if ("calibrationDigest" in job) texts.push(job.calibrationDigest);
  return [job.modelDigest, ...texts].filter((digest) => digest !== null);
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
