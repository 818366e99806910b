import assert from "node:assert/strict";
import { test } from "node:test";
import { designOf, emptyModel, fitNonNegative } from "./least-squares.ts";

const observe = (features: number[], value: number, standardError = 0) => ({ features, value, standardError });
const fit = (observations: readonly ReturnType<typeof observe>[]) => {
  const design = designOf(observations.map(({ features }) => features));
  const model = emptyModel(design);
  observations.forEach(({ value, standardError }, n) => {
    model?.values.set([value], n);
    model?.errors.set([standardError], n);
  });
  if (model !== null) fitNonNegative(design, model);
  return model;
};

test("exact observations give the coefficients they were made from", () => {
  const exact = [observe([1, 2, 30], 68), observe([1, 4, 60], 130), observe([1, 4, 20], 50)];
  for (const observations of [exact, [...exact, observe([1, 3, 10], 29)]]) {
    const model = fit(observations);
    assert.ok(model);
    for (const [i, expected] of [6, 1, 2].entries()) {
      const value: number = model.coefficients[i]!;
      assert.ok(Math.abs(value - expected) < 1e-9, `coefficient ${i} is ${value}`);
    }
  }
});

test("a coefficient that the data would make negative is zero, and the rest is fitted again", () => {
  for (const observations of [
    [observe([1, 1], 1), observe([1, 2], 2.4), observe([1, 4], 5)],
    [observe([1, 1], 1), observe([1, 4], 5.2)],
  ]) {
    const model = fit(observations);
    assert.ok(model);
    assert.equal(model.coefficients[0], 0);
    assert.ok(Math.abs(model.coefficients[1]! - 1.2) < 0.1);
  }
});

test("observations that don't determine the coefficients give no model", () => {
  assert.equal(fit([observe([1, 2], 3), observe([1, 2], 4)]), null);
  assert.equal(fit([observe([1, 2, 3], 3)]), null);
  assert.equal(fit([]), null);
});

test("values that aren't negative have coefficients that aren't either, however badly they suit each other", () => {
  for (const values of [
    [0, 0, 0],
    [9, 1, 0],
    [0, 1, 9],
    [0, 9, 0],
  ]) {
    const model = fit(values.map((value, n) => observe([1, n + 1, (n + 1) ** 2], value)));
    assert.ok(model);
    assert.ok(model.coefficients.every((coefficient) => coefficient >= 0));
    assert.ok(values.every((value) => value === 0) || model.coefficients.some((coefficient) => coefficient > 0));
  }
});
