import { z } from "zod";

/** Something that was looked at, and what to do where it isn't well. */
export const Finding = z.strictObject({
  /** What was looked at, one word or two. */
  check: z.string(),
  /** `warning`: works, but not for long or not fully. `error`: doesn't work. */
  level: z.enum(["ok", "warning", "error"]),
  message: z.string(),
  /** Empty when all is well. */
  fix: z.string(),
});
export type Finding = z.infer<typeof Finding>;

const dayMs = 86_400_000;
const soonDays = 30;

/** How long something with an end still lasts. */
export function expiryFinding(check: string, what: string, expiresAtMs: number, nowMs: number, fix: string): Finding {
  const days = Math.floor((expiresAtMs - nowMs) / dayMs);
  if (expiresAtMs <= nowMs) return { check, level: "error", message: `${what} ended ${-days} day(s) ago`, fix };
  const message = `${what} lasts ${days} more day(s)`;
  return days < soonDays ? { check, level: "warning", message, fix } : { check, level: "ok", message, fix: "" };
}
