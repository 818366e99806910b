import type { Budget, BudgetEnforcement, Inventory } from "@espalier/shared/contracts/profile";
import type { DeviceMessage } from "@espalier/shared/generated/espalier/v1/DeviceMessage";
import type { MeasurementUpdate } from "@espalier/shared/generated/espalier/v1/MeasurementUpdate";
import type { StatusReport } from "@espalier/shared/generated/espalier/v1/StatusReport";
import { toDocument } from "@espalier/shared/grpc";
import type { MeasureUpdate } from "../measure/measure-update.ts";
import type { LogRing } from "./log-ring.ts";
import type { Report } from "./report-outbox.ts";

export interface HelloFacts {
  readonly inventory: Inventory;
  readonly budget: Budget;
  readonly enforcement: BudgetEnforcement;
  readonly generation: { readonly epoch: number; readonly n: number } | null;
  readonly activeArtifactDigest: string | null;
  readonly localApiUrl: string;
}

export function helloMessage(facts: HelloFacts): DeviceMessage {
  return {
    hello: {
      inventory: toDocument("Inventory", facts.inventory),
      budget: toDocument("Budget", facts.budget),
      enforcement: toDocument("BudgetEnforcement", facts.enforcement),
      generation: facts.generation,
      activeArtifactDigest: facts.activeArtifactDigest ?? "",
      localApiUrl: facts.localApiUrl,
    },
  };
}

const reportStates = {
  assigned: "STATE_ASSIGNED",
  downloading: "STATE_DOWNLOADING",
  verifying: "STATE_VERIFYING",
  proving: "STATE_PROVING",
  active: "STATE_ACTIVE",
  failed: "STATE_FAILED",
  idle: "STATE_IDLE",
} as const satisfies Record<Report["state"], NonNullable<StatusReport["state"]>>;

export function reportMessage(report: Report): DeviceMessage {
  return {
    status: {
      reportId: report.reportId,
      generation: report.generation,
      artifactDigest: report.artifactDigest ?? "",
      state: reportStates[report.state],
      reason: report.reason,
      atMs: report.atMs,
      downloadedBytes: report.downloadedBytes,
      totalBytes: report.totalBytes,
      proof: report.proof === null ? null : toDocument("Proof", report.proof),
    },
  };
}

const measureStates = {
  waiting: "STATE_WAITING",
  running: "STATE_RUNNING",
  succeeded: "STATE_SUCCEEDED",
  failed: "STATE_FAILED",
  cancelled: "STATE_CANCELLED",
} as const satisfies Record<MeasureUpdate["state"], NonNullable<MeasurementUpdate["state"]>>;

export function measurementMessage(update: MeasureUpdate): DeviceMessage {
  return {
    measurement: {
      commandId: update.commandId,
      state: measureStates[update.state],
      message: update.message,
      fraction: update.fraction,
      measurements: update.state === "succeeded" ? toDocument("Measurements", update.measurements) : null,
    },
  };
}

export function logsMessage(requestId: string, answer: ReturnType<LogRing["read"]>): DeviceMessage {
  return { logs: { requestId, ...answer } };
}
