import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { download } from "./download.mjs";
import { scratchFolder } from "./scratch-folder.test-support.mjs";

const CONTENT = "x".repeat(200_000);
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");

/** A real server on a free port that counts its requests. */
async function serve(t, answer) {
  const seen = { requests: 0 };
  const server = createServer((request, response) => {
    seen.requests++;
    answer(request, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => new Promise((resolve) => server.close(resolve)).then(() => undefined));
  t.after(() => server.closeAllConnections());
  return { url: `http://127.0.0.1:${server.address().port}/tool.tar.gz`, seen };
}

test("a download with the pinned digest is placed, and not fetched twice", async (t) => {
  const folder = await scratchFolder(t);
  const { url, seen } = await serve(t, (_request, response) => response.end(CONTENT));
  const to = join(folder, "tool.tar.gz");
  await download({ url, sha256: SHA256, to });
  await download({ url, sha256: SHA256, to });
  assert.equal(await readFile(to, "utf8"), CONTENT);
  assert.equal(seen.requests, 1);
});

test("a torn download is never taken for a complete one", async (t) => {
  const folder = await scratchFolder(t);
  const { url } = await serve(t, (_request, response) => {
    response.writeHead(200, { "content-length": CONTENT.length });
    response.write(CONTENT.slice(0, 50_000), () => response.destroy());
  });
  await assert.rejects(download({ url, sha256: SHA256, to: join(folder, "tool.tar.gz") }), /could not be downloaded/);
  assert.deepEqual(await readdir(folder), []);
});

test("a checksum mismatch names file, expected and actual digest", async (t) => {
  const folder = await scratchFolder(t);
  const { url } = await serve(t, (_request, response) => response.end("another content"));
  const actual = createHash("sha256").update("another content").digest("hex");
  await assert.rejects(download({ url, sha256: SHA256, to: join(folder, "tool.tar.gz") }), (error) => {
    assert.match(error.message, /^tool\.tar\.gz has another SHA-256/);
    assert.ok(error.message.includes(`expected: ${SHA256}`));
    assert.ok(error.message.includes(`actual:   ${actual}`));
    return true;
  });
  assert.deepEqual(await readdir(folder), []);
});

test("a damaged file of an earlier run is fetched again", async (t) => {
  const folder = await scratchFolder(t);
  const { url } = await serve(t, (_request, response) => response.end(CONTENT));
  const to = join(folder, "tool.tar.gz");
  await writeFile(to, CONTENT.slice(0, 10));
  await download({ url, sha256: SHA256, to });
  assert.equal(await readFile(to, "utf8"), CONTENT);
});

test("an error page is reported by its status", async (t) => {
  const folder = await scratchFolder(t);
  const { url } = await serve(t, (_request, response) => response.writeHead(404).end("no"));
  await assert.rejects(download({ url, sha256: SHA256, to: join(folder, "f") }), /answered HTTP 404/);
});

test("no connection is told as such", async (t) => {
  const folder = await scratchFolder(t);
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/f`;
  await new Promise((resolve) => server.close(resolve));
  const failing = download({ url, sha256: SHA256, to: join(folder, "f") });
  await assert.rejects(failing, /could not be downloaded: ECONNREFUSED\n {2}fix: check the network connection/);
});
