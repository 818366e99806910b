import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createUser } from "@nats-io/nkeys";
import { createArtifactBucket } from "../agent/src/download/artifact-bucket.ts";
import { connectBroker } from "../agent/src/nats/connect.ts";
import { openBlobStore } from "../coordinator/src/blobs/blob-store.ts";
import { putObject } from "../coordinator/src/nats/objects.ts";
import { startTestBroker } from "../coordinator/src/nats/testing/test-broker.ts";
import { ensureTopology } from "../coordinator/src/nats/topology.ts";
import { startSlowLink } from "./chaos/kit/slow-link.ts";
import { reached } from "./eventually.ts";

test("a download that was under way when the broker went away ends, and the next one completes", async (t) => {
  const { connection, identity, server, restart } = await startTestBroker(t);
  const blobsFolder = await mkdtemp(join(tmpdir(), "espalier-blobs-"));
  t.after(() => rm(blobsFolder, { recursive: true, force: true }));
  const blobs = await openBlobStore(blobsFolder);
  const chunk = Buffer.alloc(1_500_000, "weights ");
  const digest = await blobs.put(chunk);
  await putObject((await ensureTopology(connection)).artifacts, blobs, digest);

  const link = await startSlowLink(server.url, 100_000);
  t.after(() => link.stop());
  const pair = createUser();
  const user = {
    jwt: () => identity.deviceJwt("dev-a", pair.getPublicKey()),
    seed: new TextDecoder().decode(pair.getSeed()),
  };
  const device = await connectBroker({ deviceId: "dev-a", natsUrls: [link.url], user });
  t.after(() => device.close());
  const bucket = createArtifactBucket(device);
  const before = link.passedBytes;
  const first = bucket.read(digest, chunk.length, new AbortController().signal).catch((error: unknown) => error);
  await reached(() => link.passedBytes > before + 200_000);
  await restart();
  link.cut();
  link.bytesPerSecond = Number.POSITIVE_INFINITY;

  assert.ok((await first) instanceof Error);
  const bytes = await bucket.read(digest, chunk.length, AbortSignal.timeout(60_000));
  assert.equal(Buffer.compare(Buffer.from(bytes), chunk), 0);
});
