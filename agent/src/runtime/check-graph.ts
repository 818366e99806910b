import { open, stat } from "node:fs/promises";
import type { GraphContract } from "@espalier/shared/contracts/manifest";
import { messageOf } from "@espalier/shared/errors";
import { type OnnxSummary, summarizeOnnx } from "./onnx-summary.ts";
import { runtimeError } from "./runtime-error.ts";

/** A graph without its weights has some 200 KB for 30 layers. */
const maxGraphBytes = 16 * 1024 * 1024;
const maxNodes = 20_000;

/** What the builder's exporter makes decoders of. Of the others, some read files or run for ever. */
const allowedOperators: ReadonlySet<string> = new Set([
  ...[
    ...["Add", "Cast", "Gather", "LayerNormalization", "Mul", "Relu", "Reshape", "Shape", "Sigmoid"],
    ...["SimplifiedLayerNormalization", "Slice", "Split", "Sub"],
  ].map((name) => `:${name}`),
  ...[
    "FusedMatMul",
    "GatherBlockQuantized",
    "GroupQueryAttention",
    "MatMulNBits",
    "RotaryEmbedding",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
  ].map((name) => `com.microsoft:${name}`),
]);

/**
 * Reads a graph before ONNX Runtime does: its size, operators and their versions, and where its weights lie. `dataFiles` are
 * paths by the location that the graph may name. Throws `runtime.unsafe-graph` with all that is wrong.
 */
export async function checkGraph(
  modelFile: string,
  contract: GraphContract,
  dataFiles: ReadonlyMap<string, string>,
): Promise<void> {
  const fail = (problems: readonly string[]): Error =>
    runtimeError("runtime.unsafe-graph", `Refusing to load ${modelFile}: ${problems.join("; ")}`, {
      fields: { modelFile },
      remedy: "Build the variant again with a builder of this agent's version.",
    });
  const bytes = await readBounded(modelFile, maxGraphBytes);
  if (bytes === null) throw fail([`it is over ${maxGraphBytes} bytes`]);
  let summary: OnnxSummary;
  try {
    summary = summarizeOnnx(bytes);
  } catch (error) {
    throw fail([messageOf(error)]);
  }
  const sizes = new Map<string, number>();
  for (const [location, path] of dataFiles) sizes.set(location, (await stat(path)).size);
  const problems = [...formProblems(summary, contract), ...dataProblems(summary, sizes)];
  if (problems.length > 0) throw fail(problems);
}

function formProblems({ opsets, operators, nodes, strange }: OnnxSummary, { opset }: GraphContract): string[] {
  const unknown = [...operators].filter((operator) => !allowedOperators.has(operator));
  const versions = new Map([
    ["", opset],
    ["com.microsoft", 1],
  ]);
  const wrong = [...opsets].filter(([domain, version]) => versions.get(domain) !== version);
  return [
    ...(nodes === 0 ? ["it has no nodes"] : []),
    ...(nodes > maxNodes ? [`it has ${nodes} nodes, over ${maxNodes}`] : []),
    ...(unknown.length > 0 ? [`it has operators that no variant has: ${unknown.join(", ")}`] : []),
    ...wrong.map(
      ([domain, version]) =>
        `it wants version ${version} of the operators of ${domain || "ONNX"}, not ${versions.get(domain) ?? "any"}`,
    ),
    ...[...new Set(strange)].map((what) => `it has ${what}`),
  ];
}

function dataProblems({ externalData }: OnnxSummary, sizes: ReadonlyMap<string, number>): string[] {
  return externalData.flatMap(({ tensor, location, offset, length }) => {
    const size = sizes.get(location);
    if (size === undefined) return [`${tensor} lies in ${location}, which is no file of the variant`];
    const end = offset + (length ?? 0);
    if (Number.isSafeInteger(end) && offset >= 0 && (length ?? 0) >= 0 && end <= size) return [];
    return [`${tensor} reaches to byte ${end} of ${location}, which has ${size}`];
  });
}

/** The file's bytes, or null for a larger one. */
async function readBounded(path: string, maxBytes: number): Promise<Uint8Array | null> {
  const file = await open(path);
  try {
    if ((await file.stat()).size > maxBytes) return null;
    return await file.readFile();
  } finally {
    await file.close();
  }
}
