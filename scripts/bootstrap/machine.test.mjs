import assert from "node:assert/strict";
import { test } from "node:test";
import { supportedArchitecture } from "./machine.mjs";

test("x86-64 and arm64 are supported", () => {
  assert.equal(supportedArchitecture({ platform: "linux", arch: "x64" }), "amd64");
  assert.equal(supportedArchitecture({ platform: "linux", arch: "arm64" }), "arm64");
});

test("another architecture is named together with the supported ones", () => {
  assert.throws(
    () => supportedArchitecture({ platform: "linux", arch: "arm" }),
    /architecture is arm; supported are x86-64 and arm64/,
  );
});

test("another operating system is named", () => {
  assert.throws(
    () => supportedArchitecture({ platform: "darwin", arch: "arm64" }),
    /darwin; Espalier is built for Linux/,
  );
});
