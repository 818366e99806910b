/**
 * The main job end to end on this machine. Environment: MODEL (empty, tiny, a folder or a .gguf), DATA (a folder with
 * text), KEEP=1 (leave it running until Ctrl-C).
 */
import { once } from "node:events";
import { join } from "node:path";
import { checkoutFolder, findBinaries } from "@espalier/cli/up/binaries";
import { EspalierError } from "@espalier/shared/errors";
import { runDemo } from "./run.ts";
import { findSubject } from "./subject.ts";
import { renderReport } from "./table.ts";

const say = (line: string) => process.stderr.write(`${line}\n`);
const dataFolder = join(checkoutFolder, ".espalier/demo");
try {
  const binaries = findBinaries();
  const { MODEL: model = "", DATA: data = "", KEEP: keep = "" } = process.env;
  const subject = await findSubject({ model, data, binaries });
  const { report, stack, apiUrls } = await runDemo({ subject, binaries, dataFolder, maxPredictionError: 0.5, say });
  process.stdout.write(renderReport(report));
  say(`\n${report.elapsedSeconds.toFixed(0)} s; figures in ${join(dataFolder, "report.json")}`);
  if (keep === "1") {
    say(`\nconsole and metrics  ${stack.endpoints.httpUrl}\noperator context     ${stack.contextPath}`);
    for (const [deviceId, apiUrl] of apiUrls) say(`${deviceId}  ${apiUrl}/v1`);
    say("Ctrl-C ends it");
    await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  }
  await stack.stop();
} catch (error) {
  if (!(error instanceof EspalierError)) throw error;
  say(`error (${error.code}): ${error.message}`);
  if (error.remedy !== undefined) say(`fix: ${error.remedy}`);
  process.exitCode = 1;
}
