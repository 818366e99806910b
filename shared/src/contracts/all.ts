import type { ZodType } from "zod";
import { Assignment } from "./assignment.ts";
import { BuildJob, BuildProgress } from "./build.ts";
import { FileTree } from "./files.ts";
import { Kit } from "./kit.ts";
import { LayerProfile } from "./layer-profile.ts";
import { ChatConfig, KvCacheScales, Manifest, Probe } from "./manifest.ts";
import { DeviceProfile } from "./profile.ts";
import { Recipe } from "./recipe.ts";
import { EvaluationReport, SensitivityReport } from "./report.ts";
import { TelemetrySnapshot } from "./telemetry.ts";

/** The contracts that cross a language or a process border as JSON, exported as JSON Schema for the builder. */
export const contracts = {
  Assignment,
  BuildJob,
  BuildProgress,
  ChatConfig,
  DeviceProfile,
  EvaluationReport,
  FileTree,
  Kit,
  KvCacheScales,
  LayerProfile,
  Manifest,
  Probe,
  Recipe,
  SensitivityReport,
  TelemetrySnapshot,
} as const satisfies Record<string, ZodType>;
