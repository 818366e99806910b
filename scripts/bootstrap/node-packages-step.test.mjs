import assert from "node:assert/strict";
import { test } from "node:test";
import { missingPackages, npmEnvironment, refusedOnlyForOptional } from "./node-packages-step.mjs";

test("a package that is absent or in another version is missing", () => {
  const lock = { "": {}, "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "2.0.0" } };
  assert.deepEqual(missingPackages(lock, { "node_modules/a": { version: "1.0.0" } }), ["node_modules/b"]);
  assert.deepEqual(missingPackages(lock, { ...lock, "node_modules/b": { version: "1.9.0" } }), ["node_modules/b"]);
  assert.deepEqual(missingPackages(lock, lock), []);
});

test("optional packages of other platforms are not missed, workspaces are", () => {
  const lock = {
    "node_modules/only-for-windows": { version: "1.0.0", optional: true },
    "node_modules/@espalier/shared": { resolved: "shared", link: true },
  };
  assert.deepEqual(missingPackages(lock, {}), ["node_modules/@espalier/shared"]);
  assert.deepEqual(missingPackages(lock, { "node_modules/@espalier/shared": { resolved: "shared", link: true } }), []);
});

test("only optional packages excuse a lock file, whether the registry has them or not", () => {
  const lock = { "node_modules/biome": { optionalDependencies: { "@biomejs/cli-android-x64": "2.6.8" } } };
  const refused = (...lines) => refusedOnlyForOptional(`npm error code EUSAGE\n${lines.join("\n")}\n`, lock);
  const unpublished = "npm error Missing: @biomejs/cli-android-x64@ from lock file";
  const publishedSince = "npm error Missing: @biomejs/cli-android-x64@2.6.8 from lock file";
  assert.equal(refused(unpublished, publishedSince), true);
  assert.equal(refused(unpublished, "npm error Missing: zod@4.1.0 from lock file"), false);
  assert.equal(refused(unpublished, "npm error Invalid: lock file's a@1 does not satisfy a@2"), false);
  assert.equal(refused("npm error code EAI_AGAIN"), false);
});

test("npm's cache lies in the checkout unless the user chose one", () => {
  assert.equal(npmEnvironment("/c/.espalier", {}).npm_config_cache, "/c/.espalier/cache/npm");
  assert.equal(npmEnvironment("/c/.espalier", { npm_config_cache: "/mine" }).npm_config_cache, "/mine");
});
