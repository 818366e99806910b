import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TestArtifact, tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { checkGraph } from "./check-graph.ts";

/** Protobuf as its specification writes it: a field of bytes, and one of a small number. */
function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  assert.ok(bytes.length < 128);
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), bytes.length]), bytes]);
}

function numberField(number: number, value: number): Buffer {
  return Buffer.from([...varint(number * 8), ...varint(value)]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

/** Protobuf merges: what is appended to a model is part of it. */
const graphOf = (...parts: Buffer[]) => field(7, Buffer.concat(parts));
const nodeOf = (operator: string, ...more: Buffer[]) => graphOf(field(1, Buffer.concat([field(4, operator), ...more])));
const weightIn = (location: string, offset: string, length: string) =>
  graphOf(
    field(
      5,
      Buffer.concat([
        field(8, "w"),
        ...Object.entries({ location, offset, length }).map(([key, value]) =>
          field(13, Buffer.concat([field(1, key), field(2, value)])),
        ),
      ]),
    ),
  );

describe("checkGraph", () => {
  let artifact: TestArtifact;
  let folder: string;
  let dataFiles: Map<string, string>;
  before(async () => {
    artifact = await tinyArtifact("dense-q4b32");
    folder = await mkdtemp(join(tmpdir(), "espalier-graph-"));
    dataFiles = new Map([["model.onnx.data", join(artifact.folder, "model.onnx.data")]]);
  });
  after(() => rm(folder, { recursive: true }));

  async function refusal(change: (graph: Buffer) => Uint8Array): Promise<string> {
    const file = join(folder, "model.onnx");
    await writeFile(file, change(await readFile(join(artifact.folder, "model.onnx"))));
    const error = await checkGraph(file, artifact.manifest.graph, dataFiles).then(
      () => null,
      (reason: unknown) => reason as Error & { code: string },
    );
    if (error === null) return "accepted";
    assert.equal(error.code, "runtime.unsafe-graph");
    return error.message;
  }
  const appended = (more: Uint8Array) => refusal((graph) => Buffer.concat([graph, more]));

  it("accepts what the builder exports", async () => {
    for (const recipe of ["dense-fp32", "dense-q8b128", "dense-q4b32"] as const) {
      const { folder: path, manifest } = await tinyArtifact(recipe);
      await checkGraph(
        join(path, "model.onnx"),
        manifest.graph,
        new Map([["model.onnx.data", join(path, "model.onnx.data")]]),
      );
    }
    assert.equal(await appended(nodeOf("Mul")), "accepted");
  });

  it("refuses operators that no variant has, by name and domain", async () => {
    assert.match(await appended(nodeOf("Loop")), /no variant has: :Loop/);
    assert.match(await appended(nodeOf("Mul", field(7, "evil.example"))), /evil.example:Mul/);
    assert.match(await appended(nodeOf("Gather", field(5, field(6, "")))), /it has a subgraph/);
    assert.match(await appended(field(25, "")), /it has a function/);
  });

  it("refuses other versions of the operators", async () => {
    const opset = (domain: string, version: number) =>
      field(8, Buffer.concat([field(1, domain), numberField(2, version)]));
    assert.match(await appended(opset("", 99)), /version 99 of the operators of ONNX, not 21/);
    assert.match(await appended(opset("ai.onnx.ml", 3)), /ai.onnx.ml, not any/);
  });

  it("refuses weights outside the variant's files", async () => {
    assert.match(await appended(weightIn("/etc/passwd", "0", "10")), /w lies in \/etc\/passwd/);
    assert.match(await appended(weightIn("../model.onnx.data", "0", "10")), /is no file of the variant/);
    assert.match(await appended(weightIn("model.onnx.data", "99999999999", "1")), /w reaches to byte 100000000000/);
    assert.match(await appended(weightIn("model.onnx.data", "-8", "4")), /w reaches to byte -4/);
    assert.match(await appended(weightIn("model.onnx.data", "0", "x")), /w reaches to byte NaN/);
  });

  it("refuses what is cut off, empty, no protobuf, or too large", async () => {
    assert.match(await refusal((graph) => graph.subarray(0, graph.length - 7)), /not protobuf/);
    assert.match(await refusal(() => Buffer.alloc(0)), /no nodes/);
    assert.match(await refusal(() => Buffer.from("{}")), /not protobuf/);
    assert.match(await refusal(() => Buffer.alloc(200, 0xff)), /not protobuf/);
    const file = join(folder, "large.onnx");
    await writeFile(file, "");
    await truncate(file, 16 * 1024 * 1024 + 1);
    await assert.rejects(checkGraph(file, artifact.manifest.graph, dataFiles), /over 16777216 bytes/);
  });
});
