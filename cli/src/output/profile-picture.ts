import type { ModelPart, ModelProfile } from "@espalier/shared/contracts/model-profile";
import { milliseconds } from "./quantities.ts";

const colours = { attention: "#0072b2", ffn: "#d55e00" };
const size = { left: 70, right: 20, top: 54, row: 130, gap: 46, perLayer: 22, least: 420 };

interface Strip {
  title: string;
  value(part: ModelPart): number;
  label(value: number): string;
}

/** A profile as an SVG picture: for each layer its attention and FFN block, by cost and by sensitivity. */
export function profilePicture(profile: ModelProfile): string {
  const blocks = profile.parts.filter(({ layer }) => layer !== null);
  const layers = Math.max(...blocks.map(({ layer }) => layer ?? 0)) + 1;
  const plotWidth = Math.max(size.least, layers * size.perLayer);
  const strips = stripsOf(profile);
  const width = size.left + plotWidth + size.right;
  const height = size.top + strips.length * (size.row + size.gap);
  const drawn = strips.map((strip, index) =>
    drawStrip(strip, blocks, { layers, plotWidth, top: size.top + index * (size.row + size.gap) }),
  );
  const legend = (["attention", "ffn"] as const).map(
    (part, index) =>
      `<rect x="${size.left + index * 100}" y="28" width="12" height="12" fill="${colours[part]}"/><text x="${size.left + 18 + index * 100}" y="38">${part}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${size.left}" y="18" font-size="15" font-weight="600">${escaped(profile.modelName)}, layer by layer</text>
${legend.join("\n")}
${drawn.join("\n")}
</svg>
`;
}

function stripsOf({ device }: ModelProfile): Strip[] {
  const cost: Strip =
    device === null
      ? { title: "Operations per token", value: (part) => part.flopsPerToken, label: (value) => `${millions(value)} M` }
      : {
          title: `Predicted time per token on ${device.name}, ${device.format}`,
          value: (part) => part.predictedMs ?? 0,
          label: milliseconds,
        };
  const kl = (value: number) => String(Number(value.toPrecision(2)));
  return [
    { title: "Parameters", value: (part) => part.parameters, label: (value) => `${millions(value)} M` },
    cost,
    { title: "KL when rounded to 4 bits (nats per token)", value: (part) => part.quantized?.kl ?? 0, label: kl },
    { title: "KL when removed (nats per token)", value: (part) => part.removed?.kl ?? 0, label: kl },
  ];
}

function drawStrip(
  strip: Strip,
  blocks: readonly ModelPart[],
  { layers, plotWidth, top }: { layers: number; plotWidth: number; top: number },
): string {
  const most = Math.max(...blocks.map((part) => strip.value(part)));
  const pitch = plotWidth / layers;
  const bar = pitch * 0.4;
  const bottom = top + size.row;
  const bars = blocks.map((part) => {
    const height = most > 0 ? Math.max(0, strip.value(part) / most) * (size.row - 22) : 0;
    const x = size.left + (part.layer ?? 0) * pitch + (part.part === "ffn" ? pitch / 2 : pitch / 2 - bar);
    const what = `${part.part} of layer ${part.layer}: ${strip.label(strip.value(part))}`;
    return `<rect x="${round(x)}" y="${round(bottom - height)}" width="${round(bar)}" height="${round(height)}" fill="${part.part === "ffn" ? colours.ffn : colours.attention}"><title>${what}</title></rect>`;
  });
  const every = Math.ceil(layers / (plotWidth / size.perLayer));
  const numbers = Array.from({ length: layers }, (_, layer) =>
    layer % every === 0
      ? `<text x="${round(size.left + (layer + 0.5) * pitch)}" y="${bottom + 15}" text-anchor="middle" fill="#666">${layer}</text>`
      : "",
  );
  return `<text x="${size.left}" y="${top + 6}" font-weight="600">${escaped(strip.title)}</text>
<text x="${size.left - 8}" y="${top + 26}" text-anchor="end" fill="#666">${strip.label(most)}</text>
<line x1="${size.left}" x2="${size.left + plotWidth}" y1="${bottom}" y2="${bottom}" stroke="#999"/>
${bars.join("\n")}
${numbers.join("")}`;
}

function millions(value: number): string {
  return String(Number((value / 1e6).toPrecision(3)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
