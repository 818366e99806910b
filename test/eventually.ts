import { setTimeout as sleep } from "node:timers/promises";

/** Repeats an assertion that other processes make true until it holds; after the deadline its own error is thrown. */
export async function eventually<Value>(assertion: () => Promise<Value>, deadlineMs = 30_000): Promise<Value> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() > until) throw error;
      await sleep(200);
    }
  }
}

/** Looks again and again until a condition holds that passes quickly: by default as often as it can. */
export async function reached(condition: () => boolean, deadlineMs = 30_000, everyMs = 1): Promise<void> {
  const until = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > until) throw new Error(`not reached within ${deadlineMs / 1000} s: ${condition}`);
    await sleep(everyMs);
  }
}
