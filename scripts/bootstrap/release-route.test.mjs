import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { requireDigest } from "./digest.mjs";
import { obtainTool } from "./obtain-tool.mjs";
import { requireCommand } from "./run-command.mjs";
import { scratchFolder } from "./scratch-folder.test-support.mjs";
import { routeFromRelease } from "./tool-routes.mjs";
import { WANTED_TOOLS } from "./wanted-tools.mjs";

const [nats] = WANTED_TOOLS;

/** An archive laid out like the official one, holding a program of a line of shell. */
async function releaseArchive(folder, arch) {
  const member = join(folder, "made", nats.release.member(arch));
  await mkdir(join(member, ".."), { recursive: true });
  await writeFile(member, "#!/bin/sh\necho nats-server: v2.14.4\n");
  await chmod(member, 0o755);
  const archive = join(folder, "made.tar.gz");
  await requireCommand("packing", "tar", ["-czf", archive, "-C", join(folder, "made"), nats.release.member(arch)]);
  return archive;
}

for (const arch of ["amd64", "arm64"]) {
  test(`the ${arch} release is unpacked, run and installed`, async (t) => {
    const folder = await scratchFolder(t);
    const archive = await releaseArchive(folder, arch);
    const route = routeFromRelease({
      folder: join(folder, "downloads"),
      arch,
      say: () => {},
      fetchFile: async ({ url, to }) => {
        assert.match(url, new RegExp(`v2\\.14\\.4/nats-server-v2\\.14\\.4-linux-${arch}\\.tar\\.gz$`));
        await copyFile(archive, to);
      },
    });
    const found = await obtainTool({ tool: nats, routes: [route], binFolder: join(folder, "bin") });
    assert.equal(found.path, join(folder, "bin", "nats-server"));
    assert.equal(found.version, "2.14.4");
  });
}

test("a release that is not the pinned one is refused", async (t) => {
  const folder = await scratchFolder(t);
  const archive = await releaseArchive(folder, "amd64");
  const route = routeFromRelease({
    folder: join(folder, "downloads"),
    arch: "amd64",
    say: () => {},
    fetchFile: ({ sha256 }) => requireDigest({ path: archive, expected: sha256 }),
  });
  const failing = obtainTool({ tool: nats, routes: [route], binFolder: join(folder, "bin") });
  await assert.rejects(failing, new RegExp(`expected: ${nats.release.sha256.amd64}`));
});

test("every release pins a SHA-256 for both architectures, and is recent enough itself", () => {
  for (const { minimum, release } of WANTED_TOOLS) {
    for (const arch of ["amd64", "arm64"]) assert.match(release.sha256[arch], /^[0-9a-f]{64}$/);
    const [major, minor] = release.version.split(".").map(Number);
    assert.ok(major > minimum[0] || (major === minimum[0] && minor >= minimum[1]));
  }
});
