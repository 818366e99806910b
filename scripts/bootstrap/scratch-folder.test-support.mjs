import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A folder that goes away with the test.
 * @param {import("node:test").TestContext} context
 */
export async function scratchFolder(context) {
  const folder = await mkdtemp(join(tmpdir(), "espalier-bootstrap-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
