import { hasCode, messageOf } from "@espalier/shared/errors";
import { createLogger } from "@espalier/shared/logging";
import { startAgent } from "./agent.ts";
import { yieldToOthers } from "./budget/low-priority.ts";
import { useOneHeap } from "./one-heap.ts";
import { parseOptions } from "./options.ts";
import { createLogRing } from "./session/log-ring.ts";

/** `configuration` is EX_CONFIG of sysexits.h: starting again can't help, which systemd is told (RestartPreventExitStatus). */
const exitCodes = { failed: 1, configuration: 78 };
const personCodes = ["identity.unreadable", "enroll.needed", "enroll.denied"];
const needsPerson = (error: unknown): boolean => personCodes.some((code) => hasCode(error, code));

useOneHeap();
const options = parseOptions(process.argv.slice(2));
const logs = createLogRing();
const log = createLogger("agent", options.logLevel, [logs]);
if (options.lowPriority) yieldToOthers();
try {
  const agent = await startAgent(options, log, logs);
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => {
      log.info({ signal }, "closing");
      agent.close().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ error: messageOf(error) }, "closing failed");
          process.exit(1);
        },
      );
    });
} catch (error) {
  process.stderr.write(`espalier-agent: ${messageOf(error)}\n`);
  process.exit(needsPerson(error) ? exitCodes.configuration : exitCodes.failed);
}
