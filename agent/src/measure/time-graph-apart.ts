import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { KitTiming } from "@espalier/shared/contracts/profile";
import { EspalierError } from "@espalier/shared/errors";
import type { GraphTask } from "./graph-process.ts";

const entry = fileURLToPath(new URL("./graph-process.ts", import.meta.url));

/**
 * Times one kit graph in a child process, which stays in this process's control group and so within the same budget.
 * @throws {EspalierError} `kit.graph-failed` when the process ends without a timing, e.g. killed for its memory
 */
export function timeGraphApart(task: GraphTask, signal: AbortSignal): Promise<KitTiming> {
  const { promise, resolve, reject } = Promise.withResolvers<KitTiming>();
  const child = fork(entry, { signal, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  child.once("message", (timing) => {
    try {
      resolve(KitTiming.parse(timing));
    } catch (error) {
      reject(error);
    }
  });
  child.once("error", reject);
  child.once("exit", (code, killedBy) => {
    const how = killedBy === null ? `exit code ${code}` : `signal ${killedBy}`;
    const message = `Timing kit graph ${task.graphId} ended with ${how}`;
    reject(new EspalierError("kit.graph-failed", message, { fields: { graphId: task.graphId } }));
  });
  child.send(task);
  return promise;
}
