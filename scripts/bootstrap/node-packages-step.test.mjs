import assert from "node:assert/strict";
import { test } from "node:test";
import { missingPackages, npmEnvironment, refusedOnlyForUnpublished } from "./node-packages-step.mjs";

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

test("only packages that the registry itself lacks excuse a lock file", () => {
  const unpublished = "npm error Missing: @biomejs/cli-android-x64@ from lock file";
  assert.equal(refusedOnlyForUnpublished(`npm error code EUSAGE\n${unpublished}\n`), true);
  assert.equal(refusedOnlyForUnpublished(`${unpublished}\nnpm error Missing: zod@4.1.0 from lock file\n`), false);
  assert.equal(
    refusedOnlyForUnpublished(`${unpublished}\nnpm error Invalid: lock file's a@1 does not satisfy a@2\n`),
    false,
  );
  assert.equal(refusedOnlyForUnpublished("npm error code EAI_AGAIN"), false);
});

test("npm's cache lies in the checkout unless the user chose one", () => {
  assert.equal(npmEnvironment("/c/.espalier", {}).npm_config_cache, "/c/.espalier/cache/npm");
  assert.equal(npmEnvironment("/c/.espalier", { npm_config_cache: "/mine" }).npm_config_cache, "/mine");
});
