import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { EspalierError } from "@espalier/shared/errors";
import { readSpec } from "./spec-file.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-spec-"));
});
after(() => rm(folder, { recursive: true }));

async function specOf(text: string) {
  const path = join(folder, "rollout.yaml");
  await writeFile(path, text);
  return readSpec(path);
}

test("a specification of a name and a model gets safe defaults", async () => {
  const spec = await specOf("name: first\nmodel: smol\n");
  assert.equal(spec.maxVariants, 4);
  assert.equal(spec.gates.maxFailureShare, 0);
  assert.equal(spec.selector, "");
});

test("every violation is reported at once, each with its line and path", async () => {
  const text = "name: Bad Name\n\nlimits:\n  tpotP90Ms: fast\ngates: {minProbeAgreement: -1}\nunheardOf: 1\n";
  await assert.rejects(specOf(text), (error) => {
    assert.ok(error instanceof EspalierError);
    assert.equal(error.code, "spec.invalid");
    for (const path of [
      ":1: name",
      ":4: limits.tpotP90Ms",
      ":5: gates.minProbeAgreement",
      ":6: unheardOf",
      ": model",
    ]) {
      assert.ok(error.message.includes(path), `${path} is missing in: ${error.message}`);
    }
    return true;
  });
});

test("a file that is no YAML is named in the error", async () => {
  await assert.rejects(specOf("name: [unclosed"), { code: "spec.unreadable", message: /rollout\.yaml:1: / });
});
