import type { ModelPart } from "@espalier/shared/contracts/model-profile";

/** From this share of the memory bandwidth on, reading weights is what a token waits for (ours). */
const memoryBoundShare = 0.5;
const named = 3;

/** Sentences that say where the bottleneck lies and which blocks the quality hangs on. */
export function findings(
  parts: readonly ModelPart[],
  device: { name: string; format: string; predictedMs: number; memoryBandwidthBytesPerSecond: number | null } | null,
): string[] {
  const sentences = [largestPart(parts, device), ...memoryBound(parts, device)];
  const blocks = parts.filter((part) => part.removed !== null && part.quantized !== null);
  if (blocks.length > 0) {
    sentences.push(
      `Most sensitive to quantizing: ${ranked(blocks, (part) => -(part.quantized?.kl ?? 0))}.`,
      `Least missed when removed, so the first to prune: ${ranked(blocks, (part) => part.removed?.kl ?? 0)}.`,
    );
  }
  return sentences;
}

function largestPart(parts: readonly ModelPart[], device: { name: string; format: string } | null): string {
  const of = (part: ModelPart) => (device === null ? part.flopsPerToken : (part.predictedMs ?? 0));
  const total = parts.reduce((sum, part) => sum + of(part), 0);
  const shares = (["ffn", "attention", "head"] as const).map((kind) => ({
    kind,
    share: parts.filter(({ part }) => part === kind).reduce((sum, part) => sum + of(part), 0) / total,
  }));
  const list = shares
    .toSorted((a, b) => b.share - a.share)
    .map(({ kind, share }) => `${partNames[kind]} ${percent(share)}`)
    .join(", ");
  return device === null
    ? `Operations of a generated token: ${list}. No device has measured this model's kit, so times are unknown.`
    : `Time of a generated token on ${device.name} (${device.format}): ${list}.`;
}

const partNames = { ffn: "feed-forward blocks", attention: "attention blocks", head: "head and fixed cost" } as const;

function memoryBound(
  parts: readonly ModelPart[],
  device: { name: string; predictedMs: number; memoryBandwidthBytesPerSecond: number | null } | null,
): string[] {
  if (device === null || device.memoryBandwidthBytesPerSecond === null) return [];
  const bytes = parts.reduce((sum, part) => sum + part.weightBytesPerToken, 0);
  const share = bytes / (device.predictedMs / 1000) / device.memoryBandwidthBytesPerSecond;
  const verdict =
    share >= memoryBoundShare
      ? "memory bandwidth is the bottleneck, and fewer bytes (fewer bits, fewer parameters) are what helps"
      : "computing or fixed cost is the bottleneck, and fewer bits alone help little";
  return [
    `It reads ${(bytes / 2 ** 20).toFixed(1)} MiB of weights per token at ${percent(share)} of the bandwidth that ${device.name} measured: ${verdict}.`,
  ];
}

function ranked(blocks: readonly ModelPart[], key: (part: ModelPart) => number): string {
  return blocks
    .toSorted((a, b) => key(a) - key(b))
    .slice(0, named)
    .map(({ part, layer }) => `${part} of layer ${layer}`)
    .join(", ");
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
