import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EspalierError } from "@espalier/shared/errors";
import { z } from "zod";

const Environment = z.object({
  node: z.string(),
  python: z.string(),
  natsServer: z.string(),
  prometheus: z.string().optional(),
  promtool: z.string().optional(),
  demoModel: z.string().optional(),
});
export type Binaries = z.infer<typeof Environment>;

/** The root of the checkout. */
export const checkoutFolder = fileURLToPath(new URL("../../..", import.meta.url));

/**
 * The programs that `make setup` found or installed.
 * @throws {EspalierError} `setup.missing`
 */
export function findBinaries(): Binaries {
  const path = `${checkoutFolder}.espalier/env.json`;
  if (!existsSync(path)) {
    throw new EspalierError("setup.missing", `${path} does not exist`, { fields: { path }, remedy: "make setup" });
  }
  return Environment.parse(JSON.parse(readFileSync(path, "utf8")));
}
