import assert from "node:assert/strict";
import { test } from "node:test";
import { Estimator, featureVector } from "./estimator.ts";
import { designOf, emptyModel, fitNonNegative, type LinearModel, setReading } from "./least-squares.ts";

const design = designOf([
  [1, 1],
  [1, 3],
]);

function line(...readings: readonly (readonly [value: number, standardError: number])[]): LinearModel {
  const model = emptyModel(design)!;
  for (const [n, [value, error]] of readings.entries()) setReading(model, n, value, error);
  fitNonNegative(design, model);
  return model;
}

function sumOf(models: readonly (LinearModel | null)[], weights: readonly number[]): Estimator {
  const sum = new Estimator();
  sum.setSum(models, weights);
  return sum;
}

test("the error of a line through two points grows with the distance from them, as the closed formula says", () => {
  const sum = sumOf([line([10, 1], [30, 1])], [1]);
  // y(x) = y1 + (x - 1) / 2 * (y2 - y1), so se(x)^2 = (1 - t)^2 + t^2 with t = (x - 1) / 2.
  for (const x of [1, 2, 3, 9]) {
    const t = (x - 1) / 2;
    assert.ok(Math.abs(Math.sqrt(sum.variance(featureVector(1, x))) - Math.hypot(1 - t, t)) < 1e-9);
  }
});

test("a sum of models of the same runs has the weighted sum of their values and of their errors", () => {
  const sum = sumOf([line([10, 1], [30, 2]), null, line([20, 3], [40, 4])], [2, 7, 0.5]);
  const alone = sumOf([line([30, 3.5], [80, 6])], [1]);
  for (const x of [1, 4]) {
    const features = featureVector(1, x);
    assert.ok(Math.abs(sum.estimate(features) - alone.estimate(features)) < 1e-9);
    assert.ok(Math.abs(sum.variance(features) - alone.variance(features)) < 1e-9);
  }
});

test("errors of models that are fitted otherwise are independent", () => {
  // The first falls, so its slope is 0 and its values are averaged.
  const [flat, rising] = [line([30, 1], [10, 1]), line([10, 1], [30, 1])];
  const features = featureVector(1, 5);
  const apart = [flat, rising].map((model) => sumOf([model], [1]).variance(features));
  const both = sumOf([flat, rising], [1, 1]).variance(features);
  assert.ok(Math.abs(both - apart[0]! - apart[1]!) < 1e-9);
});
