import type { Generation } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import type { Proof } from "@espalier/shared/contracts/proof";
import type { ObtainProgress } from "../download/obtain-variant.ts";
import type { Report, ReportOutbox } from "../session/report-outbox.ts";

interface Subject {
  readonly generation: Generation;
  readonly artifactDigest: Digest | null;
}

interface Detail {
  readonly reason?: string;
  readonly proof?: Proof;
}

/** Tells the coordinator how an assignment fares. */
export interface Reporter {
  /** A state on the way; one that can't be stored never stops an update. */
  state(about: Subject, state: Report["state"], detail?: Detail): Promise<void>;
  /** How a generation ended. Durable when it returns; throws when it can't be stored, since nobody says it again. */
  end(about: Subject, state: "active" | "failed" | "idle", detail?: Detail): Promise<void>;
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
  const end = async (
    { generation, artifactDigest }: Subject,
    state: Report["state"],
    { reason = "", proof }: Detail = {},
  ): Promise<void> => {
    log.info({ generation, artifactDigest, state, reason }, "assignment");
    const atMs = clock.now();
    const bytes = { downloadedBytes: 0, totalBytes: 0 };
    await outbox.add({ generation, artifactDigest, state, reason, atMs, ...bytes, proof: proof ?? null });
  };
  const tolerate = (state: Report["state"]) => (error: unknown) =>
    log.warn({ error: String(error), state }, "a report could not be stored");
  return {
    end,
    state: (about, state, detail) => end(about, state, detail).catch(tolerate(state)),
    progress({ generation, artifactDigest }, { phase, downloadedBytes, totalBytes }) {
      const atMs = clock.now();
      const isNews = phase !== lastProgress.phase || atMs - lastProgress.atMs >= progressIntervalMs;
      if (!isNews) return;
      lastProgress = { phase, atMs };
      const content = { generation, artifactDigest, reason: "", atMs, downloadedBytes, totalBytes, proof: null };
      outbox.add({ ...content, state: phase }).catch(tolerate(phase));
    },
  };
}
