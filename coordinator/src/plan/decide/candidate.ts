import type { Digest } from "@espalier/shared/contracts/digest";
import type { Quality } from "@espalier/shared/contracts/quality";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import type { QualityFloor } from "@espalier/shared/contracts/rollout-spec";
import type { VariantShape } from "@espalier/shared/contracts/shape";
import type { SliceFigures } from "./slice-bounds.ts";

/** A recipe with what is known of it before choosing. */
export interface Candidate {
  recipe: Recipe;
  recipeDigest: Digest;
  name: string;
  shape: VariantShape;
  quality: Quality;
  /** `report`: of the built artifact. `sensitivity`: of the job that tried all candidates. */
  qualitySource: "sensitivity" | "report";
  /** The dense model's quality by the same protocol as `quality`. */
  dense: Quality;
  /** By slice of the evaluation text; before it is built at the good end of what the sensitivity job leaves possible. */
  slices: readonly SliceFigures[];
  /** The built artifact, all files counted; null before it is built. */
  artifact: { digest: Digest; totalBytes: number; wireBytes: number | null } | null;
}

/** The KL to the dense model that a candidate stays under with 97.5 % confidence: what "better" is decided by. */
export function klUpperBound(quality: Quality): number {
  return Math.max(0, quality.kl) + quality.klHalfWidth;
}

/**
 * Best first: least upper bound of the KL to the dense model, then least perplexity, then fewest bytes, then by
 * digest, so that the order never depends on the order of the input.
 */
export function compareCandidates(a: Candidate, b: Candidate): number {
  return (
    klUpperBound(a.quality) - klUpperBound(b.quality) ||
    a.quality.perplexity - b.quality.perplexity ||
    a.shape.weightBytes - b.shape.weightBytes ||
    (a.recipeDigest < b.recipeDigest ? -1 : a.recipeDigest > b.recipeDigest ? 1 : 0)
  );
}

export interface FloorBreach {
  /** The path in the quality floor, e.g. `maxKl` or `slices.code.maxKl`. */
  measure: string;
  measured: number;
  allowed: number;
}

/** Which parts of the quality floor a variant breaks. An absent part demands nothing. */
export function floorBreaches(
  { quality, qualitySource, dense, slices }: Pick<Candidate, "quality" | "qualitySource" | "dense" | "slices">,
  { slices: bySlice = {}, ...whole }: QualityFloor,
): FloorBreach[] {
  const breaches = partBreaches(quality, dense, whole, "");
  for (const [name, floor] of Object.entries(bySlice)) {
    const found = slices.find((slice) => slice.name === name);
    // A floor that nothing was held against is not kept, once all text was judged.
    if (found === undefined && qualitySource === "sensitivity") continue;
    if (found === undefined) breaches.push({ measure: `slices.${name} tokens`, measured: 0, allowed: 1 });
    else breaches.push(...partBreaches(found.exported, found.dense, floor, `slices.${name}.`));
  }
  return breaches;
}

function partBreaches(
  quality: Quality,
  dense: Quality,
  floor: Omit<QualityFloor, "slices">,
  path: string,
): FloorBreach[] {
  const breaches: FloorBreach[] = [];
  const ratio = quality.perplexity / dense.perplexity;
  if (floor.maxPerplexityRatio !== undefined && ratio > floor.maxPerplexityRatio) {
    breaches.push({ measure: `${path}maxPerplexityRatio`, measured: ratio, allowed: floor.maxPerplexityRatio });
  }
  if (floor.minAgreement !== undefined && quality.agreement < floor.minAgreement) {
    breaches.push({ measure: `${path}minAgreement`, measured: quality.agreement, allowed: floor.minAgreement });
  }
  if (floor.maxKl !== undefined && quality.kl > floor.maxKl) {
    breaches.push({ measure: `${path}maxKl`, measured: quality.kl, allowed: floor.maxKl });
  }
  return breaches;
}
