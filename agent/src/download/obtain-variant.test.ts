import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { link, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import { type Digest, digestOfBytes } from "@espalier/shared/contracts/digest";
import { hasCode } from "@espalier/shared/errors";
import { hex, objectBuckets } from "@espalier/shared/nats-names";
import { packObject } from "@espalier/shared/object-packing";
import { startNatsServer, type TestNatsServer } from "@espalier/shared/testing/nats-server";
import { jetstream } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { openDataFolder } from "../store/data-folder.ts";
import { makeArtifact, putObjects, type TestArtifact } from "../testing/artifact.ts";
import { type ArtifactBucket, createArtifactBucket } from "./artifact-bucket.ts";
import { checkPlainFiles } from "./assemble.ts";
import { openChunkStore } from "./chunk-store.ts";
import { type ObtainDeps, obtainVariant, permanentDownloadErrors } from "./obtain-variant.ts";
import { openVariantStore } from "./variant-store.ts";

let server: TestNatsServer;
let connection: NatsConnection;
const never = new AbortController().signal;

before(async () => {
  server = await startNatsServer();
  connection = await connect({ servers: server.url });
});
after(async () => {
  await connection.close();
  await server.stop();
});

/** Counts what crosses the network, reading for real. */
function counting(bucket: ArtifactBucket): ArtifactBucket & { readonly reads: Digest[] } {
  const reads: Digest[] = [];
  return {
    reads,
    read(digest, maxBytes, signal) {
      reads.push(digest);
      return bucket.read(digest, maxBytes, signal);
    },
  };
}

async function device(
  body: (deps: ObtainDeps & { readonly bucket: ReturnType<typeof counting> }) => Promise<void>,
  diskBudgetBytes: number | null = null,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "espalier-obtain-"));
  try {
    const folder = await openDataFolder(root);
    const bucket = counting(createArtifactBucket(connection));
    const chunks = openChunkStore(folder.chunks);
    const variants = await openVariantStore(folder.variants);
    await body({ bucket, chunks, variants, dataRoot: root, diskBudgetBytes, evictable: () => [], damaged: new Set() });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const wanted = ({ artifactDigest, totalBytes, manifestBytes }: TestArtifact) => ({
  artifactDigest,
  totalBytes,
  manifestBytes: manifestBytes.length,
});
const chunksOf = (artifact: TestArtifact) =>
  new Set(artifact.manifest.files.flatMap(({ chunks }) => chunks.map((chunk) => chunk.digest)));

test("a variant is fetched, assembled byte for byte, and survives reopening; its loose chunks are gone", () =>
  device(async (deps) => {
    const artifact = makeArtifact({ weightBytes: 700_000, chunkBytes: 300_000 });
    await putObjects(connection, artifact.objects, 64 * 1024);
    const phases = new Set<string>();
    let last = 0;
    const progress = (p: { phase: string; downloadedBytes: number }): void => {
      phases.add(p.phase);
      assert.ok(p.downloadedBytes >= last);
      last = p.downloadedBytes;
    };
    await obtainVariant(deps, wanted(artifact), progress, never);
    assert.equal(last, artifact.totalBytes);
    assert.deepEqual([...phases], ["downloading", "verifying"]);
    const folder = deps.variants.folder(artifact.artifactDigest);
    for (const { path, digest } of artifact.manifest.files)
      assert.equal(digestOfBytes(await readFile(join(folder, path))), digest);
    const reopened = await openVariantStore(join(deps.dataRoot, "variants"));
    assert.deepEqual(reopened.held(), [artifact.artifactDigest]);
    assert.deepEqual(await readdir(join(deps.dataRoot, "chunks")), []);
  }));

test("an interrupted download continues with the chunks it lacks", () =>
  device(async (deps) => {
    const artifact = makeArtifact({ weightBytes: 200_000 });
    await putObjects(connection, artifact.objects);
    const abort = new AbortController();
    let stored = 0;
    const stopEarly = (): void => {
      if (++stored === 8) abort.abort(new Error("stopped"));
    };
    await assert.rejects(obtainVariant(deps, wanted(artifact), stopEarly, abort.signal), /stopped/);
    const held = (await readdir(join(deps.dataRoot, "chunks"))).length;
    assert.ok(held >= 7 && held < chunksOf(artifact).size);
    deps.bucket.reads.length = 0;
    await obtainVariant(deps, wanted(artifact), () => undefined, never);
    assert.equal(deps.bucket.reads.length, 1 + chunksOf(artifact).size - held);
  }));

test("a bit flipped in a loose chunk costs only that chunk again", () =>
  device(async (deps) => {
    const artifact = makeArtifact();
    await putObjects(connection, artifact.objects);
    for (const digest of chunksOf(artifact)) await deps.chunks.put(digest, artifact.objects.get(digest)!);
    const victim = [...chunksOf(artifact)][3]!;
    const flipped = Buffer.from(artifact.objects.get(victim)!);
    flipped[0] = flipped[0]! ^ 1;
    await writeFile(join(deps.dataRoot, "chunks", hex(victim)), flipped);
    await assert.rejects(
      obtainVariant(deps, wanted(artifact), () => undefined, never),
      (error) => hasCode(error, "chunk.damaged"),
    );
    assert.equal(deps.variants.has(artifact.artifactDigest), false);
    deps.bucket.reads.length = 0;
    await obtainVariant(deps, wanted(artifact), () => undefined, never);
    assert.deepEqual(deps.bucket.reads, [artifact.artifactDigest, victim]);
  }));

test("chunks shared with a held variant are not fetched; a damaged one among them is", () =>
  device(async (deps) => {
    const shared = randomBytes(8 * 8_192);
    const [first, second, third] = [makeArtifact({ shared }), makeArtifact({ shared }), makeArtifact({ shared })];
    for (const artifact of [first, second, third]) await putObjects(connection, artifact.objects);
    await obtainVariant(deps, wanted(first), () => undefined, never);
    deps.bucket.reads.length = 0;
    await obtainVariant(deps, wanted(second), () => undefined, never);
    assert.deepEqual(
      deps.bucket.reads.filter((digest) => chunksOf(first).has(digest)),
      [],
    );
    for (const artifact of [first, second]) {
      const path = join(deps.variants.folder(artifact.artifactDigest), "model.onnx.data");
      const bytes = await readFile(path);
      bytes[10] = bytes[10]! ^ 1;
      await writeFile(path, bytes);
    }
    const attempt = () => obtainVariant(deps, wanted(third), () => undefined, never);
    await assert.rejects(attempt(), (error) => hasCode(error, "chunk.damaged"));
    await attempt().catch(() => attempt());
    const path = join(deps.variants.folder(third.artifactDigest), "model.onnx.data");
    assert.deepEqual((await readFile(path)).subarray(0, shared.length), shared);
  }));

test("a missing object is a missing object, and fetching goes on once it is there", () =>
  device(async (deps) => {
    const artifact = makeArtifact();
    const last = artifact.manifest.files.find(({ path }) => path === "model.onnx.data")!.chunks.at(-1)!.digest;
    await putObjects(
      connection,
      [...artifact.objects].filter(([digest]) => digest !== last),
    );
    await assert.rejects(
      obtainVariant(deps, wanted(artifact), () => undefined, never),
      (error) => hasCode(error, "object.missing"),
    );
    await putObjects(connection, [[last, artifact.objects.get(last)!]]);
    await obtainVariant(deps, wanted(artifact), () => undefined, never);
    assert.ok(deps.variants.has(artifact.artifactDigest));
  }));

test("an object longer than its list says, or with other bytes than its name says, is refused", () =>
  device(async (deps) => {
    const bytes = randomBytes(5_000);
    await putObjects(connection, [[digestOfBytes(bytes), bytes]]);
    await assert.rejects(deps.bucket.read(digestOfBytes(bytes), 4_999, never), (error) =>
      hasCode(error, "object.oversize"),
    );
    const lie = digestOfBytes("something else");
    await putObjects(connection, [[lie, bytes]]);
    await assert.rejects(deps.bucket.read(lie, 5_000, never), (error) => hasCode(error, "object.corrupt"));
  }));

test("a variant that compresses crosses the network smaller, arrives equal, and is continued after an interruption", () =>
  device(async (deps) => {
    // Distinct chunks, each mostly zeros, as codes of a masked matrix are.
    const weights = Buffer.concat(
      Array.from({ length: 12 }, () => Buffer.concat([randomBytes(50_000), Buffer.alloc(150_000)])),
    );
    const artifact = makeArtifact({ shared: weights, weightBytes: 100_000, chunkBytes: 200_000 });
    await putObjects(connection, artifact.objects);
    const travelled = async (work: () => Promise<unknown>): Promise<number> => {
      const before = connection.stats().inBytes;
      await work();
      return connection.stats().inBytes - before;
    };
    const abort = new AbortController();
    let stored = 0;
    const stopEarly = (): void => {
      if (++stored === 8) abort.abort(new Error("stopped"));
    };
    const begun = await travelled(() =>
      assert.rejects(obtainVariant(deps, wanted(artifact), stopEarly, abort.signal), /stopped/),
    );
    deps.bucket.reads.length = 0;
    let downloadedBytes = 0;
    const ended = await travelled(() =>
      obtainVariant(deps, wanted(artifact), (progress) => (downloadedBytes = progress.downloadedBytes), never),
    );
    assert.ok(deps.bucket.reads.length < chunksOf(artifact).size, "what was held is not fetched again");
    assert.equal(downloadedBytes, artifact.totalBytes, "progress is told in bytes of the files");
    assert.ok(begun + ended < 0.5 * artifact.totalBytes, `${begun} + ${ended} of ${artifact.totalBytes} bytes`);
    const file = join(deps.variants.folder(artifact.artifactDigest), "model.onnx.data");
    assert.deepEqual((await readFile(file)).subarray(0, weights.length), weights);
  }));

/** Puts an object as a broker that has gone bad would. */
async function putBad(
  digest: Digest,
  bytes: Uint8Array,
  metadata: Record<string, string> | undefined = { encoding: "zstd", plainBytes: "200000" },
): Promise<void> {
  const store = await new Objm(connection).create(objectBuckets.artifacts);
  await store.putBlob({ name: hex(digest), metadata }, bytes);
}

test("packed bytes that are cut short, damaged, endless or of an unknown packing are refused, and right ones taken after", () =>
  device(async (deps) => {
    const plain = Buffer.concat([randomBytes(50_000), Buffer.alloc(150_000)]);
    const artifact = makeArtifact({ shared: plain, weightBytes: 10_000, chunkBytes: 200_000 });
    const victim = digestOfBytes(plain);
    await putObjects(
      connection,
      [...artifact.objects].filter(([digest]) => digest !== victim),
    );
    const { bytes } = await packObject(plain);
    const flipped = Buffer.from(bytes);
    flipped[30_000] = flipped[30_000]! ^ 1;
    const other = (await packObject(Buffer.alloc(plain.length, "other weights "))).bytes;
    const bomb = zstdCompressSync(Buffer.alloc(2 ** 26));
    const bad: [what: string, code: string, bytes: Uint8Array, metadata?: Record<string, string>][] = [
      ["cut short", "object.corrupt", bytes.subarray(0, bytes.length - 1)],
      ["a flipped bit", "object.corrupt", flipped],
      ["other bytes", "object.corrupt", other],
      ["fewer bytes than said", "object.corrupt", (await packObject(Buffer.alloc(1_000))).bytes],
      ["a bomb", "object.oversize", bomb],
      ["a bomb that says so", "object.oversize", bomb, { encoding: "zstd", plainBytes: String(2 ** 26) }],
      ["an unknown packing", "object.encoding", bytes, { encoding: "brotli", plainBytes: "200000" }],
      ["packed and not said to be", "object.corrupt", bytes, {}],
    ];
    for (const [what, code, wrong, metadata] of bad) {
      await putBad(victim, wrong, metadata);
      await assert.rejects(
        obtainVariant(deps, wanted(artifact), () => undefined, never),
        (error) => {
          assert.ok(hasCode(error, code) && error.message.includes(hex(victim)), `${what}: ${String(error)}`);
          return !permanentDownloadErrors.has(code);
        },
      );
      assert.equal(await deps.chunks.has(victim, plain.length), false);
    }
    deps.bucket.reads.length = 0;
    await putObjects(connection, [[victim, plain]]);
    await obtainVariant(deps, wanted(artifact), () => undefined, never);
    assert.ok(deps.variants.has(artifact.artifactDigest));
    assert.ok(deps.bucket.reads.includes(victim) && deps.bucket.reads.length <= 3, "all else was held");
  }));

test("an object's entry that can't be read is a corrupt object", () =>
  device(async ({ bucket }) => {
    const digest = digestOfBytes("an entry");
    const name = Buffer.from(hex(digest)).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
    for (const entry of ["", "{", '{"nuid":"a.>","size":-1}']) {
      await jetstream(connection).publish(`$O.${objectBuckets.artifacts}.M.${name}`, entry);
      await assert.rejects(bucket.read(digest, 10, never), (error) => hasCode(error, "object.corrupt"));
    }
  }));

test("a manifest whose lengths don't add up is refused before anything is fetched", () =>
  device(async (deps) => {
    const artifact = makeArtifact();
    await putObjects(connection, artifact.objects);
    await assert.rejects(
      obtainVariant(deps, { ...wanted(artifact), totalBytes: artifact.totalBytes - 1 }, () => undefined, never),
      (error) => hasCode(error, "manifest.invalid"),
    );
    assert.deepEqual(deps.bucket.reads, [artifact.artifactDigest]);
  }));

test("a download beyond the disk budget is refused before its first chunk, with the numbers", () =>
  device(async (deps) => {
    const artifact = makeArtifact({ weightBytes: 60_000 });
    await putObjects(connection, artifact.objects);
    await assert.rejects(
      obtainVariant(deps, wanted(artifact), () => undefined, never),
      (error) => {
        return hasCode(error, "disk.refused") && /disk budget 100000 bytes/.test(error.message);
      },
    );
    assert.deepEqual(deps.bucket.reads, [artifact.artifactDigest]);
  }, 100_000));

test("a variant's file with a second hard link is refused", () =>
  device(async (deps) => {
    const artifact = makeArtifact();
    await putObjects(connection, artifact.objects);
    await obtainVariant(deps, wanted(artifact), () => undefined, never);
    const folder = deps.variants.folder(artifact.artifactDigest);
    await checkPlainFiles(folder, artifact.manifest.files);
    await link(join(folder, "model.onnx.data"), join(deps.dataRoot, "outside"));
    await assert.rejects(checkPlainFiles(folder, artifact.manifest.files), (error) => hasCode(error, "file.unsafe"));
  }));
