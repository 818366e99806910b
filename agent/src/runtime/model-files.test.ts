import assert from "node:assert/strict";
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { safeModelFile } from "./model-files.ts";

describe("safeModelFile", () => {
  let root = "";
  let folder = "";
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "espalier-model-files-"));
    folder = join(root, "artifact");
    await mkdir(join(folder, "weights"), { recursive: true });
    await writeFile(join(root, "secret"), "x");
    await writeFile(join(folder, "model.onnx"), "x");
    await writeFile(join(folder, "weights", "a.data"), "x");
  });
  after(() => rm(root, { recursive: true }));

  const refused = { code: "runtime.unsafe-file" };

  it("accepts plain files in the folder and below", async () => {
    assert.equal(await safeModelFile(folder, "model.onnx"), join(folder, "model.onnx"));
    assert.equal(await safeModelFile(folder, "weights/a.data"), join(folder, "weights", "a.data"));
  });

  it("refuses paths that lead outside", async () => {
    for (const path of ["../secret", "weights/../../secret", join(root, "secret"), ""]) {
      await assert.rejects(safeModelFile(folder, path), refused, path);
    }
  });

  it("refuses a symbolic link as file and as folder", async () => {
    await symlink(join(root, "secret"), join(folder, "linked.data"));
    await symlink(join(folder, "weights"), join(folder, "linked"));
    await assert.rejects(safeModelFile(folder, "linked.data"), refused);
    await assert.rejects(safeModelFile(folder, "linked/a.data"), refused);
  });

  it("refuses a file with a second name", async () => {
    await writeFile(join(folder, "twice.data"), "x");
    await link(join(folder, "twice.data"), join(root, "other-name"));
    await assert.rejects(safeModelFile(folder, "twice.data"), refused);
  });

  it("refuses a folder and a missing file", async () => {
    await assert.rejects(safeModelFile(folder, "weights"), refused);
    await assert.rejects(safeModelFile(folder, "missing.data"), refused);
  });
});
