import { createInterface } from "node:readline/promises";
import { EspalierError } from "@espalier/shared/errors";

/**
 * Asks a person on the terminal before something that can't be taken back.
 * @throws {EspalierError} `confirmation.missing` for a no, and where nobody can be asked
 */
export async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new EspalierError("confirmation.missing", "this can't be taken back and nobody can be asked here", {
      remedy: "add --yes",
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} [y/N] `).finally(() => terminal.close());
  if (!/^y(es)?$/i.test(answer.trim())) throw new EspalierError("confirmation.missing", "nothing was done");
}
