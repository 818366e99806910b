import { messageOf } from "@espalier/shared/errors";
import { z } from "zod";

/** One line of a chart; `null` where there is no value. Times are the range's, equally spaced. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly (number | null)[];
}

/** Equally spaced times, both ends included. */
export interface TimeRange {
  readonly startMs: number;
  readonly endMs: number;
  readonly points: number;
}

/** Evaluates PromQL over a time range. @throws {Error} what is wrong, in a line */
export type QueryRange = (expression: string, range: TimeRange) => Promise<Series[]>;

const timeoutMs = 5_000;
const Answer = z.discriminatedUnion("status", [
  z.object({ status: z.literal("error"), error: z.string() }),
  z.object({
    status: z.literal("success"),
    data: z.object({
      result: z.array(
        z.object({
          metric: z.record(z.string(), z.string()),
          values: z.array(z.tuple([z.number(), z.string()])),
        }),
      ),
    }),
  }),
]);

/** Queries a Prometheus by its HTTP API (`/api/v1/query_range`). */
export function prometheusQueries(baseUrl: string): QueryRange {
  return async (expression, { startMs, endMs, points }) => {
    const stepSeconds = (endMs - startMs) / 1000 / (points - 1);
    const url = new URL("api/v1/query_range", baseUrl.endsWith("/") ? baseUrl : `${baseUrl}/`);
    url.search = new URLSearchParams({
      query: expression,
      start: String(startMs / 1000),
      end: String(endMs / 1000),
      step: String(stepSeconds),
    }).toString();
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) }).catch((cause: unknown) => {
      throw new Error(`Prometheus at ${baseUrl} can't be reached: ${messageOf(cause)}`, { cause });
    });
    const answer = Answer.parse(await response.json());
    if (answer.status === "error") throw new Error(`Prometheus: ${answer.error}`);
    return answer.data.result.map(({ metric, values }) => {
      const line: (number | null)[] = Array(points).fill(null);
      for (const [seconds, text] of values) {
        const value = Number(text);
        const index = Math.round((seconds - startMs / 1000) / stepSeconds);
        if (Number.isFinite(value) && index >= 0 && index < points) line[index] = value;
      }
      return { labels: metric, values: line };
    });
  };
}
