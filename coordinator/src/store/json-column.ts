import { EspalierError } from "@espalier/shared/errors";
import { z } from "zod";

/**
 * Reads a JSON column by its contract.
 * @param where the row for people, e.g. `devices dev-1 labels`
 * @throws {EspalierError} `store.bad-row`: the row was not written by this version or is damaged
 */
export function readJson<Schema extends z.ZodType>(text: string, schema: Schema, where: string): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new EspalierError("store.bad-row", `the stored ${where} doesn't match its contract`, { cause });
  }
}

export const Labels = z.record(z.string(), z.string());
export type Labels = z.infer<typeof Labels>;
