import type { Measurements } from "@espalier/shared/contracts/profile";

interface Common {
  readonly commandId: string;
  /** What is being measured, or why it ended, for people. */
  readonly message: string;
  /** Share of the command's items done, 0..1. */
  readonly fraction: number;
}

/** Where a measure command stands. */
export type MeasureUpdate =
  | (Common & { readonly state: "waiting" | "running" | "failed" | "cancelled" })
  | (Common & { readonly state: "succeeded"; readonly measurements: Measurements });

export function isFinal({ state }: MeasureUpdate): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}
