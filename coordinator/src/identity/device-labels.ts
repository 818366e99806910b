import { EspalierError } from "@espalier/shared/errors";
import { z } from "zod";

const text = z.string().regex(/^[\w./-]{1,63}$/, "expected up to 63 letters, digits and . _ / -");

/** Labels that a device may carry: what selectors can say. A value may be empty. */
export const DeviceLabels = z
  .record(text, z.union([z.literal(""), text]))
  .refine((labels) => Object.keys(labels).length <= 32, "expected at most 32 labels");

/** @throws {EspalierError} `label.malformed`, naming every label that is wrong */
export function requireLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  const parsed = DeviceLabels.safeParse(labels);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "labels"}: ${message}`);
  throw new EspalierError("label.malformed", problems.join("; "));
}
