import type { Digest } from "@espalier/shared/contracts/digest";
import type { Quality } from "@espalier/shared/contracts/quality";
import type { Recipe } from "@espalier/shared/contracts/recipe";
import type { QualityFloor } from "@espalier/shared/contracts/rollout-spec";
import type { VariantShape } from "@espalier/shared/contracts/shape";

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
  /** The built artifact, all files counted; null before it is built. */
  artifact: { digest: Digest; totalBytes: number } | null;
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
  measure: keyof QualityFloor;
  measured: number;
  allowed: number;
}

/** Which parts of the quality floor a quality breaks. An absent part demands nothing. */
export function floorBreaches(quality: Quality, dense: Quality, floor: QualityFloor): FloorBreach[] {
  const breaches: FloorBreach[] = [];
  const ratio = quality.perplexity / dense.perplexity;
  if (floor.maxPerplexityRatio !== undefined && ratio > floor.maxPerplexityRatio) {
    breaches.push({ measure: "maxPerplexityRatio", measured: ratio, allowed: floor.maxPerplexityRatio });
  }
  if (floor.minAgreement !== undefined && quality.agreement < floor.minAgreement) {
    breaches.push({ measure: "minAgreement", measured: quality.agreement, allowed: floor.minAgreement });
  }
  if (floor.maxKl !== undefined && quality.kl > floor.maxKl) {
    breaches.push({ measure: "maxKl", measured: quality.kl, allowed: floor.maxKl });
  }
  return breaches;
}
