import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { examine } from "./examine.ts";
import { certificateFindings, clockFinding, contextFinding } from "./local-findings.ts";
import { portFinding } from "./port-findings.ts";

test("a clock is judged by what the round trip leaves certain", () => {
  assert.equal(clockFinding(10_000, 9_000, 11_000).level, "ok");
  assert.equal(clockFinding(16_500, 9_000, 11_000).level, "warning");
  assert.equal(clockFinding(15_500, 9_000, 11_000).level, "ok");
  const wrong = clockFinding(0, 400_000, 400_010);
  assert.equal(wrong.level, "error");
  assert.match(wrong.message, /400\.0 s from the coordinator's/);
  assert.match(wrong.fix, /time server/);
});

test("a port that answers is told from one that doesn't, with the reason", async () => {
  const server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const port = { what: "nats", address: `127.0.0.1:${address.port}`, level: "error" } as const;
  assert.equal((await portFinding(port)).level, "ok");
  await new Promise((resolve) => server.close(resolve));
  const closed = await portFinding(port);
  assert.equal(closed.level, "error");
  assert.match(closed.message, /ECONNREFUSED/);
});

test("keys that can't be read, a context that others may read and one that is missing are findings", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-doctor-"));
  t.after(() => rm(folder, { recursive: true }));
  const [found] = certificateFindings(
    { operatorAddress: "x:1", authorityPem: "no", certificatePem: "no", keyPem: "no" },
    0,
  );
  assert.deepEqual([found?.check, found?.level], ["certificate", "error"]);
  const path = join(folder, "context.json");
  await writeFile(path, "{}", { mode: 0o600 });
  assert.equal(contextFinding(path).level, "ok");
  await chmod(path, 0o644);
  assert.equal(contextFinding(path).fix, `chmod 600 ${path}`);
  const [missing, ...others] = await examine(join(folder, "none.json"));
  assert.deepEqual(others, []);
  assert.deepEqual([missing?.check, missing?.level], ["context", "error"]);
  assert.match(missing?.fix ?? "", /espalier up/);
});
