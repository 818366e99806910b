import { messageOf } from "@espalier/shared/errors";
import { createLogger } from "@espalier/shared/logging";
import { startAgent } from "./agent.ts";
import { parseOptions } from "./options.ts";

const options = parseOptions(process.argv.slice(2));
const log = createLogger("agent", options.logLevel);
try {
  const agent = await startAgent(options, log);
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
  process.exit(1);
}
