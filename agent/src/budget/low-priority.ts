import { constants, setPriority } from "node:os";

/**
 * Lets everything else on the machine go first: the device's own work doesn't slow down while the agent computes.
 * Call it before any thread is started. Linux keeps a priority by thread, and a new thread has that of the one that
 * started it.
 */
export function yieldToOthers(): void {
  setPriority(constants.priority.PRIORITY_LOW);
}
