import assert from "node:assert/strict";
import { test } from "node:test";
import { lineChart } from "./line-chart.ts";
import { axisTicks, formatValue } from "./scale.ts";

const range = { startMs: 0, endMs: 3_600_000, points: 5 };
const chart = (values: (number | null)[][], unit: "s" | "bytes" = "s") =>
  lineChart(
    { title: "Chart", unit },
    values.map((line, index) => ({ name: `line ${index}`, values: line })),
    range,
  ).text;

/** The points of each path: its command, x and y. */
function pathsOf(text: string): [string, number, number][][] {
  return [...text.matchAll(/<path [^>]*d="([^"]*)"/g)].map(([, d = ""]) =>
    [...d.matchAll(/([ML])([\d.]+) ([\d.]+)/g)].map(([, command = "", x, y]) => [command, Number(x), Number(y)]),
  );
}

test("values map to heights in proportion, from 0 at the bottom to the top tick", () => {
  const [path] = pathsOf(chart([[0, 0.25, 0.5, 0.75, 1]]));
  const heights = path?.map(([, , y]) => y) ?? [];
  const step = (heights[0] ?? 0) - (heights[1] ?? 0);
  assert.ok(step > 0);
  for (let index = 1; index < heights.length; index++) {
    assert.ok(Math.abs((heights[index - 1] ?? 0) - (heights[index] ?? 0) - step) < 0.2);
  }
});

test("a gap stays a gap, and a value alone is still seen", () => {
  const text = chart([[1, 1, null, 1, null]]);
  assert.deepEqual(
    pathsOf(text)[0]?.map(([command]) => command),
    ["M", "L", "M"],
  );
  assert.match(text, /h\.01/);
});

test("the legend tells the present value, and that there is none for a line that ended", () => {
  assert.match(chart([[1, 1, 1, 0.5, null]]), /<b>500 ms<\/b>/);
  assert.match(chart([[1, 1, null, null, null]]), /<b>none now<\/b>/);
});

test("lines beyond the colours are counted, not drawn", () => {
  const text = chart(Array.from({ length: 11 }, () => [1, 1, 1, 1, 1]));
  assert.equal(pathsOf(text).length, 8);
  assert.match(text, /and 3 more/);
});

test("a chart of zeros has an axis", () => {
  assert.match(chart([[0, 0, 0, 0, 0]]), /class="grid"/);
});

test("ticks are round, start at 0 and cover the largest value", () => {
  assert.deepEqual(axisTicks(1, 4, "short"), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(axisTicks(0.0093, 4, "s"), [0, 0.0025, 0.005, 0.0075, 0.01]);
  assert.deepEqual(axisTicks(7, 4, "tps"), [0, 2, 4, 6, 8]);
  assert.deepEqual(axisTicks(0, 4, "short"), [0, 1]);
  assert.deepEqual(
    axisTicks(370 * 2 ** 20, 4, "bytes"),
    [0, 1, 2, 3, 4].map((step) => step * 100 * 2 ** 20),
  );
  assert.equal(axisTicks(0.93, 4, "percentunit").at(-1), 1);
});

test("values read well in the unit of their panel", () => {
  assert.equal(formatValue(0.00425, "s"), "4.25 ms");
  assert.equal(formatValue(2.5, "s"), "2.5 s");
  assert.equal(formatValue(0.925, "percentunit"), "92.5 %");
  assert.equal(formatValue(456 * 2 ** 20, "bytes"), "456 MiB");
  assert.equal(formatValue(0, "bytes"), "0");
  assert.equal(formatValue(12.345, "tps"), "12.3/s");
  assert.equal(formatValue(3, "short"), "3");
});
