import type { Panel } from "@espalier/shared/dashboard/panels";

/** Round values of a panel's axis, from 0 to the first that covers `max`, about `count` steps. */
export function axisTicks(max: number, count: number, unit: Panel["unit"]): number[] {
  if (unit === "percentunit" && max > 0.5 && max <= 1) return [0, 0.25, 0.5, 0.75, 1];
  const scale = unit === "bytes" ? binaryStep(max)[0] : 1;
  return niceTicks(max / scale, count).map((tick) => tick * scale);
}

function niceTicks(max: number, count: number): number[] {
  if (!(max > 0)) return [0, 1];
  const rough = max / count;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * magnitude >= rough * (1 - 1e-9)) ?? 10) * magnitude;
  const ticks = [0];
  while ((ticks.at(-1) ?? 0) < max * (1 - 1e-9)) ticks.push(step * ticks.length);
  return ticks;
}

const binarySteps: readonly [number, string][] = [
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
  [1, "B"],
];

function binaryStep(value: number): readonly [number, string] {
  return binarySteps.find(([step]) => value >= step) ?? [1, "B"];
}

/** A value for people, in the unit of its panel. */
export function formatValue(value: number, unit: Panel["unit"]): string {
  switch (unit) {
    case "s":
      return value === 0 ? "0" : value < 1 ? `${digits(value * 1000)} ms` : `${digits(value)} s`;
    case "percentunit":
      return `${digits(value * 100)} %`;
    case "bytes": {
      const [size, name] = binaryStep(value);
      return value === 0 ? "0" : `${digits(value / size)} ${name}`;
    }
    case "reqps":
    case "tps":
      return value === 0 ? "0" : `${digits(value)}/s`;
    case "joule":
      return value === 0 ? "0" : `${digits(value)} J`;
    case "short":
      return digits(value);
  }
}

/** Three significant digits, without an exponent and without zeros that say nothing. */
function digits(value: number): string {
  return String(Number(value.toPrecision(3)));
}
