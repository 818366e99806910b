import { Digest } from "@espalier/shared/contracts/digest";
import { Budget, BudgetEnforcement, Inventory } from "@espalier/shared/contracts/profile";
import { Proof } from "@espalier/shared/contracts/proof";
import { EspalierError } from "@espalier/shared/errors";
import type { Document__Output } from "@espalier/shared/generated/espalier/v1/Document";
import type { Hello__Output } from "@espalier/shared/generated/espalier/v1/Hello";
import type { StatusReport__Output } from "@espalier/shared/generated/espalier/v1/StatusReport";
import { fromDocument } from "@espalier/shared/grpc";
import type { z } from "zod";
import type { DeviceReport } from "../../store/device-changes.ts";
import type { DeviceState } from "../../store/devices.ts";

/** What a device says of itself when it connects, checked. */
export interface HelloFacts {
  readonly inventory: Inventory;
  readonly budget: Budget;
  readonly enforcement: BudgetEnforcement;
  readonly activeArtifactDigest: Digest | null;
  readonly localApiUrl: string;
}

/** @throws {EspalierError} `hello.malformed`, ZodError or SyntaxError for a document that breaks its contract */
export function readHello(hello: Hello__Output): HelloFacts {
  return {
    inventory: readDocument(hello.inventory, Inventory, "inventory"),
    budget: readDocument(hello.budget, Budget, "budget"),
    enforcement: readDocument(hello.enforcement, BudgetEnforcement, "enforcement"),
    activeArtifactDigest: readDigest(hello.activeArtifactDigest),
    localApiUrl: hello.localApiUrl.slice(0, 200),
  };
}

const states: Readonly<Record<StatusReport__Output["state"], DeviceState | null>> = {
  STATE_UNSPECIFIED: null,
  STATE_ASSIGNED: "assigned",
  STATE_DOWNLOADING: "downloading",
  STATE_VERIFYING: "verifying",
  STATE_PROVING: "proving",
  STATE_ACTIVE: "active",
  STATE_FAILED: "failed",
  STATE_IDLE: "idle",
};

/** @throws {EspalierError} `report.malformed`, ZodError or SyntaxError for a document that breaks its contract */
export function readReport(report: StatusReport__Output, deviceId: string): DeviceReport {
  const state = states[report.state] ?? null;
  const { generation } = report;
  if (state === null || generation === null || !/^[\w-]{1,100}$/.test(report.reportId)) {
    throw new EspalierError("report.malformed", "a status report needs an id, a state and a generation", {
      fields: { deviceId },
    });
  }
  return {
    deviceId,
    reportId: report.reportId,
    generation: { epoch: generation.epoch, n: generation.n },
    artifactDigest: readDigest(report.artifactDigest),
    state,
    reason: report.reason.slice(0, 2000),
    atMs: report.atMs,
    downloadedBytes: report.downloadedBytes,
    totalBytes: report.totalBytes,
    proof: report.proof === null ? null : fromDocument(report.proof, Proof),
  };
}

function readDigest(text: string): Digest | null {
  return text === "" ? null : Digest.parse(text);
}

function readDocument<Schema extends z.ZodType>(
  document: Document__Output | null,
  schema: Schema,
  what: string,
): z.infer<Schema> {
  if (document === null) throw new EspalierError("hello.malformed", `the Hello has no ${what}`);
  return fromDocument(document, schema);
}
