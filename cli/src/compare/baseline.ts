import { readFile, writeFile } from "node:fs/promises";
import { EspalierError } from "@espalier/shared/errors";
import { Comparison } from "./compare-variants.ts";

/** What became of a comparison that was held against a file. */
export type BaselineOutcome = "written" | "kept";

/**
 * Holds a comparison against the one that `path` keeps; where there is none, keeps this one. It is broken by a figure
 * that is worse with certainty: its interval lies wholly beyond the kept one's.
 * @throws {EspalierError} `baseline.broken`, `baseline.other-text`, `baseline.invalid`
 */
export async function holdAgainst(path: string, comparison: Comparison): Promise<BaselineOutcome> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (text === null) {
    await writeFile(path, `${JSON.stringify(comparison, null, 2)}\n`);
    return "written";
  }
  const kept = parse(path, text);
  if (kept.model !== comparison.model || JSON.stringify(kept.text) !== JSON.stringify(comparison.text)) {
    throw new EspalierError("baseline.other-text", `${path} was taken of another model or on other text`, {
      fields: { path },
      remedy: "compare as it was done then, or remove the file to begin anew",
    });
  }
  const broken = regressions(kept, comparison);
  if (broken.length === 0) return "kept";
  throw new EspalierError("baseline.broken", `worse than ${path}: ${broken.join("; ")}`, {
    fields: { path },
    remedy: "find what changed, or remove the file to accept the new figures",
  });
}

function parse(path: string, text: string): Comparison {
  try {
    return Comparison.parse(JSON.parse(text));
  } catch (cause) {
    throw new EspalierError("baseline.invalid", `${path} is no baseline of variant compare`, {
      fields: { path },
      remedy: "name another file, or remove this one to begin anew",
      cause,
    });
  }
}

/** The figures of B against A that are worse than kept, with their values. */
export function regressions(kept: Comparison, now: Comparison): string[] {
  const figures = [
    { name: "perplexity ratio", key: "perplexityRatio", worse: 1 },
    { name: "KL difference", key: "klDifference", worse: 1 },
    { name: "agreement difference", key: "agreementDifference", worse: -1 },
  ] as const;
  return figures.flatMap(({ name, key, worse }) => {
    const [before, after] = [kept[key], now[key]];
    const isWorse = worse > 0 ? after.low > before.high : after.high < before.low;
    return isWorse ? [`${name} ${after.value.toPrecision(4)}, was ${before.value.toPrecision(4)}`] : [];
  });
}
