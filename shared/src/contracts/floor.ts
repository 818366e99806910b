import { EspalierError } from "../errors.ts";
import { Floor } from "./build.ts";
import type { Quality } from "./quality.ts";

/** A floor as people write it: `agreement>=0.9`, `kl<=0.1`. @throws {EspalierError} `search.floor` */
export function parseFloor(text: string): Floor {
  const [, figure, sign, limit] = /^\s*(\w+)\s*(>=|<=)\s*(\S+)\s*$/.exec(text) ?? [];
  const floor = Floor.safeParse({ figure, limit: limit === undefined ? undefined : Number(limit) });
  if (floor.success && sign === signOf(floor.data)) return floor.data;
  throw new EspalierError("search.floor", `"${text}" is no floor of quality`, {
    fields: { floor: text },
    remedy: "write agreement>=0.9, or kl<=0.1, perplexity<=30 or bitsPerByte<=1.1",
  });
}

export function meetsFloor(quality: Quality, { figure, limit }: Floor): boolean {
  return figure === "agreement" ? quality.agreement >= limit : quality[figure] <= limit;
}

export function writeFloor(floor: Floor): string {
  return `${floor.figure}${signOf(floor)}${floor.limit}`;
}

/** The side on which a figure is good. */
function signOf({ figure }: Floor): ">=" | "<=" {
  return figure === "agreement" ? ">=" : "<=";
}
