import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { BackupEvent } from "@espalier/shared/contracts/backup";
import { EspalierError } from "@espalier/shared/errors";
import { backUp } from "./back-up.ts";
import { restore } from "./restore.ts";

const usage = `usage: node coordinator/src/backup/main.ts backup --data DIR --to FILE.tar|FOLDER
       node coordinator/src/backup/main.ts restore --data DIR --from FILE.tar|FOLDER

JSON lines on stdout tell the progress; the last has "kind":"done".`;

const tell = (event: BackupEvent) => process.stdout.write(`${JSON.stringify(event)}\n`);
const now = () => Date.now();

function invalid(message: string): EspalierError {
  return new EspalierError("options.invalid", message, { remedy: usage });
}

async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { data: { type: "string" }, to: { type: "string" }, from: { type: "string" } },
  });
  const [verb] = positionals;
  if (values.data === undefined) throw invalid("--data DIR is required");
  const dataFolder = resolve(values.data);
  if (verb === "backup" && values.to !== undefined) {
    return backUp({ dataFolder, target: resolve(values.to), tell, now });
  }
  if (verb === "restore" && values.from !== undefined) {
    return restore({ dataFolder, source: resolve(values.from), tell, now });
  }
  throw invalid("expected `backup --to` or `restore --from`");
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof EspalierError)) throw error;
  process.stderr.write(`error (${error.code}): ${error.message}\n`);
  if (error.remedy !== undefined) process.stderr.write(`fix: ${error.remedy}\n`);
  process.exitCode = error.code === "options.invalid" ? 2 : 1;
}
