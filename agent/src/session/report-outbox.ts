import { randomUUID } from "node:crypto";
import { Generation } from "@espalier/shared/contracts/assignment";
import { Digest } from "@espalier/shared/contracts/digest";
import { Proof } from "@espalier/shared/contracts/proof";
import { z } from "zod";
import { openDocumentFile } from "../store/document-file.ts";

export const Report = z.strictObject({
  reportId: z.string(),
  generation: Generation,
  artifactDigest: Digest.nullable(),
  state: z.enum(["assigned", "downloading", "verifying", "proving", "active", "failed", "idle"]),
  reason: z.string(),
  atMs: z.int(),
  downloadedBytes: z.int().nonnegative(),
  totalBytes: z.int().nonnegative(),
  proof: Proof.nullable(),
});
export type Report = z.infer<typeof Report>;
export type ReportContent = Omit<Report, "reportId">;

/** Reports until the coordinator has acknowledged them; they outlive the process. */
export interface ReportOutbox {
  pending(): readonly Report[];
  /** Durable when it returns. An unacknowledged report of the same generation and state is replaced: it is outdated. */
  add(content: ReportContent): Promise<void>;
  acknowledge(reportId: string): Promise<void>;
  /** Called with each report that was added. */
  onAdded: ((report: Report) => void) | null;
}

/** A device that is offline for months must not fill its disk with reports. */
const maxPending = 200;

export async function openReportOutbox(
  path: string,
  log: { warn(fields: object, message: string): void },
): Promise<ReportOutbox> {
  const file = await openDocumentFile({ path, schema: z.array(Report), initial: (): Report[] => [], log });
  // What `file.value` will be once all saves asked for so far are done.
  let latest = file.value;
  const outbox: ReportOutbox = {
    onAdded: null,
    pending: () => file.value,
    async add(content) {
      const report = { ...content, reportId: randomUUID() };
      latest = [...latest.filter((earlier) => !isOutdatedBy(earlier, report)), report].slice(-maxPending);
      await file.save(latest);
      outbox.onAdded?.(report);
    },
    async acknowledge(reportId) {
      if (!latest.some((report) => report.reportId === reportId)) return;
      latest = latest.filter((report) => report.reportId !== reportId);
      await file.save(latest);
    },
  };
  return outbox;
}

function isOutdatedBy(earlier: Report, report: Report): boolean {
  return (
    earlier.state === report.state &&
    earlier.generation.epoch === report.generation.epoch &&
    earlier.generation.n === report.generation.n
  );
}
