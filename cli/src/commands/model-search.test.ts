import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFloor } from "@espalier/shared/contracts/floor";
import type { SensitivityReport } from "@espalier/shared/contracts/report";
import { renderFront } from "./model-search.ts";

const level = (bits: 4 | 8, weightBytes: number, agreement: number) => ({
  recipe: {
    schemaVersion: 1,
    pruning: { method: "none" },
    quantization: { method: "rtn", bits, blockSize: 128, symmetric: true, accuracyLevel: 4 },
  },
  shape: { weightBytes },
  quality: { agreement, kl: 1 - agreement, perplexity: 9, bitsPerByte: 1, klHalfWidth: 0 },
});
/** Only what is shown of a front. */
const front = {
  candidates: [level(4, 5_000_000, 0.8), level(8, 10_000_000, 0.95)],
  dense: { perplexity: 8 },
  protocol: { tokens: 2048, datasetOrigin: "given" },
} as unknown as SensitivityReport;

test("a front says which of it is the lightest above the floor, or that none is", () => {
  assert.match(
    renderFront(front, parseFloor("agreement>=0.9")),
    /^dense-q8b128 is the lightest of these that meets agr/m,
  );
  assert.match(
    renderFront(front, parseFloor("kl<=0.3")),
    /^dense-q4b128 is the lightest of these that meets kl<=0\.3/m,
  );
  assert.match(renderFront(front, parseFloor("kl<=0.01")), /^None meets kl<=0\.01: lower the floor/m);
});
