import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { rangeNamed, writeCharts } from "./charts.ts";
import { prometheusQueries, type QueryRange } from "./query-range.ts";

/** Speaks Prometheus' HTTP API with a fixed answer, since a unit test has no history; end-to-end.test.ts asks a real one. */
async function startAnswering(t: TestContext, answer: unknown): Promise<{ url: string; asked: URL[] }> {
  const asked: URL[] = [];
  const server = createServer((request, response) => {
    asked.push(new URL(request.url ?? "/", "http://prometheus"));
    response.end(JSON.stringify(answer));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const range = { startMs: 1_000_000, endMs: 1_040_000, points: 5 };

test("values land at their times, and what Prometheus doesn't have or calls NaN is a gap", async (t) => {
  const values = [
    [1000, "1"],
    [1010, "NaN"],
    [1030, "3.5"],
  ];
  const result = [{ metric: { variant: "q4" }, values }];
  const { url, asked } = await startAnswering(t, { status: "success", data: { resultType: "matrix", result } });
  const series = await prometheusQueries(`${url}/prefix`)("up > 0", range);
  assert.deepEqual(series, [{ labels: { variant: "q4" }, values: [1, null, null, 3.5, null] }]);
  assert.equal(asked[0]?.pathname, "/prefix/api/v1/query_range");
  assert.deepEqual(Object.fromEntries(asked[0]?.searchParams ?? []), {
    query: "up > 0",
    start: "1000",
    end: "1040",
    step: "10",
  });
});

test("a chart whose Prometheus is away or refuses says so in its place", async (t) => {
  const { url } = await startAnswering(t, { status: "error", errorType: "bad_data", error: "parse <error>" });
  const write = (queryRange: QueryRange | null) =>
    writeCharts({ queryRange, range: "1h", nowMs: 1 }).then(({ text }) => text);
  assert.match(await write(prometheusQueries(url)), /Prometheus: parse &#60;error&#62;/);
  assert.match(await write(prometheusQueries("http://127.0.0.1:1")), /can&#39;t be reached/);
  assert.match(await write(null), /--prometheus-url/);
});

test("legends name a line by its labels, escaped; a line without values is left out", async () => {
  const queryRange: QueryRange = async (_expression, { points }) => [
    { labels: { device_class: "<pi>", variant: "q4" }, values: Array(points).fill(0.5) },
    { labels: { device_class: "empty", variant: "q8" }, values: Array(points).fill(null) },
  ];
  const { text } = await writeCharts({ queryRange, range: "15m", nowMs: 3_600_000 });
  assert.match(text, /<span>&#60;pi&#62; q4<\/span><b>500 ms<\/b>/);
  assert.doesNotMatch(text, /empty/);
});

test("an unknown range is an hour", () => {
  assert.equal(rangeNamed("6h"), "6h");
  for (const name of [null, "", "constructor", "9h"]) assert.equal(rangeNamed(name), "1h");
});
