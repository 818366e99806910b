import type { Generation } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { Proof } from "@espalier/shared/contracts/proof";
import type { ObtainProgress } from "../download/obtain-variant.ts";
import type { Report, ReportOutbox } from "../session/report-outbox.ts";

/** Tells the coordinator how an assignment fares. A report that can't be stored never stops an update. */
export interface Reporter {
  state(
    about: { generation: Generation; artifactDigest: Digest | null },
    state: Report["state"],
    detail?: { reason?: string; proof?: Proof },
  ): Promise<void>;
  /** At most one report a second, and one for the end of each phase. */
  progress(about: { generation: Generation; artifactDigest: Digest }, progress: ObtainProgress): void;
}

const progressIntervalMs = 1_000;

export interface ReporterDeps {
  readonly outbox: ReportOutbox;
  readonly clock: { now(): number };
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

export function createReporter({ outbox, clock, log }: ReporterDeps): Reporter {
  let lastProgress = { phase: "", atMs: 0 };
  const add = async (content: Parameters<ReportOutbox["add"]>[0]): Promise<void> => {
    try {
      await outbox.add(content);
    } catch (error) {
      log.warn({ error: String(error), state: content.state }, "a report could not be stored");
    }
  };
  return {
    async state({ generation, artifactDigest }, state, { reason = "", proof } = {}) {
      log.info({ generation, artifactDigest, state, reason }, "assignment");
      const atMs = clock.now();
      await add({
        generation,
        artifactDigest,
        state,
        reason,
        atMs,
        downloadedBytes: 0,
        totalBytes: 0,
        proof: proof ?? null,
      });
    },
    progress({ generation, artifactDigest }, { phase, downloadedBytes, totalBytes }) {
      const atMs = clock.now();
      const isNews = phase !== lastProgress.phase || atMs - lastProgress.atMs >= progressIntervalMs;
      if (!isNews) return;
      lastProgress = { phase, atMs };
      const content = { generation, artifactDigest, reason: "", atMs, downloadedBytes, totalBytes, proof: null };
      void add({ ...content, state: phase });
    },
  };
}
