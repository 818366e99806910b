import { z } from "zod";
import { contracts } from "../../shared/src/contracts/all.ts";

/** File name -> JSON Schema (draft 2020-12) of each contract, for the builder. */
export function jsonSchemas(): Map<string, string> {
  const files = new Map<string, string>();
  for (const [name, schema] of Object.entries(contracts)) {
    const json = z.toJSONSchema(schema, { target: "draft-2020-12", io: "output" });
    files.set(`${name}.json`, `${JSON.stringify({ title: name, ...json }, null, 2)}\n`);
  }
  return files;
}
