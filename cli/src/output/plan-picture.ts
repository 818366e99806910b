import { type Plan, type PlannedDevice, type PlannedVariant, upperEndOf } from "@espalier/shared/contracts/plan";

const size = { width: 860, height: 480 };
/** Margins of the plot; variants' names stand at the right. */
const plot = { left: 70, top: 50, right: 640, bottom: 420 };
/** Distinct for colour-blind readers too (Okabe and Ito 2008). */
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

interface Point {
  devices: readonly PlannedDevice[];
  variant: PlannedVariant;
  tpotMs: number;
  upperMs: number;
  limitMs: number | undefined;
}

/**
 * The plan as a picture (SVG): what the fleet gives for its speed. Each dot is a device class with its variant, at its predicted
 * time per output token (logarithmic; the whisker ends at the upper end, the tick is the limit) and the KL to the dense model.
 */
export function drawPlan(plan: Plan): string {
  const points = pointsOf(plan);
  const variants = plan.variants.filter((variant) => points.some((point) => point.variant === variant));
  const times = points.flatMap(({ tpotMs, upperMs, limitMs }) => [tpotMs, upperMs, limitMs ?? tpotMs]);
  const x = logarithmic(Math.min(...times, 1e3) / 1.3, Math.max(...times, 1e-3) * 1.3);
  const most = Math.max(0.01, ...variants.map(({ quality }) => quality.kl + quality.klHalfWidth));
  const y = (kl: number) => plot.bottom - (Math.max(0, kl) / (most * 1.1)) * (plot.bottom - plot.top);
  const unserved = plan.devices.length - points.reduce((sum, { devices }) => sum + devices.length, 0);
  const labels = spreadOut(variants.map(({ quality }) => y(quality.kl)));
  const shapes = [
    text(
      plot.left,
      20,
      `${plan.modelName}: ${plan.devices.length} devices, ${unserved} without a variant`,
      'font-size="16"',
    ),
    ...axes(x, y, most),
    ...variants.flatMap((variant, index) => drawVariant(variant, colourOf(index), y, labels[index] ?? 0)),
    ...points.flatMap((point) => drawPoint(point, colourOf(variants.indexOf(point.variant)), x, y)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif" font-size="12">
<title>${escaped(plan.modelName)}: quality against speed</title>
<rect width="${size.width}" height="${size.height}" fill="white"/>
${shapes.join("\n")}
</svg>
`;
}

/** Devices of one class with one variant are one point; the first one's prediction stands for all. */
function pointsOf({ devices, variants }: Plan): Point[] {
  const groups = Map.groupBy(
    devices.filter(({ choice }) => choice !== null),
    ({ deviceClass, choice }) => `${deviceClass}\n${choice?.recipeDigest}`,
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const choice = first?.choice;
    const variant = variants.find(({ recipeDigest }) => recipeDigest === choice?.recipeDigest);
    if (!first || !choice || variant === undefined) return [];
    const { tpotMs } = choice.prediction;
    const upperMs = upperEndOf(tpotMs);
    return [{ devices: group, variant, tpotMs: tpotMs.value, upperMs, limitMs: first.limits.tpotP90Ms }];
  });
}

function drawVariant({ name, quality }: PlannedVariant, colour: string, y: (kl: number) => number, label: number) {
  const at = y(quality.kl);
  const [low, high] = [y(quality.kl - quality.klHalfWidth), y(quality.kl + quality.klHalfWidth)];
  return [
    `<rect x="${plot.left}" y="${fixed(high)}" width="${plot.right - plot.left}" height="${fixed(low - high)}" fill="${colour}" opacity="0.12"/>`,
    line(plot.left, at, plot.right, at, `stroke="${colour}" stroke-dasharray="4 3" opacity="0.6"`),
    line(plot.right, at, plot.right + 14, label, `stroke="${colour}" opacity="0.6"`),
    text(plot.right + 18, label + 4, name, `fill="${colour}"`),
  ];
}

function drawPoint({ devices, variant, tpotMs, upperMs, limitMs }: Point, colour: string, x: Scale, y: Scale) {
  const at = y(variant.quality.kl);
  const radius = 5 + 2 * Math.log2(devices.length);
  const names = devices.slice(0, 10).map(({ name }) => name);
  const title = `${devices[0]?.deviceClass}: ${names.join(", ")}${devices.length > 10 ? ", ..." : ""}`;
  return [
    line(x(tpotMs), at, x(upperMs), at, `stroke="${colour}" stroke-width="2"`),
    ...(limitMs === undefined
      ? []
      : [line(x(limitMs), at - 9, x(limitMs), at + 9, `stroke="black" stroke-width="1.5"`)]),
    `<circle cx="${fixed(x(tpotMs))}" cy="${fixed(at)}" r="${fixed(radius)}" fill="${colour}"><title>${escaped(title)}</title></circle>`,
    ...(devices.length > 1 ? [text(x(tpotMs), at - radius - 4, `${devices.length}`, 'text-anchor="middle"')] : []),
  ];
}

type Scale = (value: number) => number;

function axes(x: Scale & { ticks: number[] }, y: Scale, most: number): string[] {
  const steps = Array.from({ length: 5 }, (_, index) => (most * index) / 4);
  return [
    line(plot.left, plot.bottom, plot.right, plot.bottom, 'stroke="black"'),
    line(plot.left, plot.top, plot.left, plot.bottom, 'stroke="black"'),
    ...x.ticks.flatMap((tick) => [
      line(x(tick), plot.bottom, x(tick), plot.bottom + 5, 'stroke="black"'),
      text(x(tick), plot.bottom + 18, `${tick}`, 'text-anchor="middle"'),
    ]),
    ...steps.map((kl) => text(plot.left - 8, y(kl) + 4, kl.toPrecision(2), 'text-anchor="end"')),
    text(plot.left, plot.bottom + 42, "time per output token, ms"),
    text(
      plot.right,
      plot.bottom + 42,
      "dot: device class, line: upper end, tick: limit",
      'text-anchor="end" fill="#555"',
    ),
    text(plot.left - 8, plot.top - 8, "KL to the dense model"),
  ];
}

function logarithmic(from: number, to: number): Scale & { ticks: number[] } {
  const span = Math.log(to / from);
  const scale = (value: number) => plot.left + (Math.log(value / from) / span) * (plot.right - plot.left);
  const powers = Array.from({ length: 9 }, (_, index) => 10 ** (index - 3));
  const all = powers.flatMap((power) => [1, 2, 3, 5, 7].map((digit) => Number((digit * power).toPrecision(1))));
  return Object.assign(scale, { ticks: all.filter((tick) => tick >= from && tick <= to) });
}

/** Heights at which labels don't overlap, in the order given, each as near to its own as that allows. */
function spreadOut(heights: readonly number[]): number[] {
  const spread: number[] = [];
  for (const { height, index } of heights
    .map((height, index) => ({ height, index }))
    .sort((a, b) => b.height - a.height)) {
    const above = Math.min(...spread.filter((placed) => placed !== undefined), Infinity);
    spread[index] = Math.min(height, above - 16);
  }
  return spread;
}

function colourOf(index: number): string {
  return colours[index % colours.length] ?? "black";
}

function line(x1: number, y1: number, x2: number, y2: number, style: string): string {
  return `<line x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}" ${style}/>`;
}

function text(x: number, y: number, content: string, style = ""): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" ${style}>${escaped(content)}</text>`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function escaped(content: string): string {
  return content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
