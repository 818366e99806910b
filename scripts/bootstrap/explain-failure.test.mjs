import assert from "node:assert/strict";
import { test } from "node:test";
import { explainFailure } from "./explain-failure.mjs";

const explained = (output) => explainFailure({ what: "npm ci", code: 1, output, log: "/home/log/npm-ci.log" });

test("no network is told apart from a full disk and a folder of another user", () => {
  assert.match(explained("npm error code EAI_AGAIN").message, /network or the package server cannot be reached/);
  assert.match(explained("W: Temporary failure resolving 'mirror'").message, /fix: check the network connection/);
  assert.match(explained("OSError: [Errno 28] No space left on device").message, /the disk is full/);
  assert.match(explained("npm error code EACCES").message, /not writable/);
});

test("an unknown failure shows the end of the output and where the rest is", () => {
  const problem = explained(`${"noise\n".repeat(50)}the real reason`);
  assert.match(problem.message, /npm ci failed \(exit 1\)/);
  assert.match(problem.message, /\| the real reason/);
  assert.match(problem.message, /whole output: \/home\/log\/npm-ci\.log/);
});

test("a lock file out of date is told with the way to renew it", () => {
  const output =
    "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.";
  assert.match(explained(output).message, /fix: run `npm install`/);
});
