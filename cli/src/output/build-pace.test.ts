import assert from "node:assert/strict";
import { test } from "node:test";
import { BuildPace } from "./build-pace.ts";

const build = (fraction: number, state: "running" | "succeeded" = "running") => ({
  recipeDigest: `sha256:${"a".repeat(64)}` as const,
  variantName: "dense-q8b128",
  jobId: null,
  state,
  stage: "prune",
  fraction,
  artifactDigest: null,
  message: "",
});

test("the time left follows from the pace since the view began, and is not guessed before there is one", () => {
  const pace = new BuildPace();
  pace.observe([build(0.2)], 0);
  assert.equal(pace.left(build(0.2), 5_000), "");
  pace.observe([build(0.4)], 10_000);
  assert.equal(pace.left(build(0.4), 10_000), "about 30s left");
  assert.equal(pace.left(build(1, "succeeded"), 20_000), "");
});
