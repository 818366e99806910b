/** What tests ask a running Prometheus, by its HTTP API. */
export interface PrometheusApi {
  activeTargets(): Promise<{ scrapeUrl: string; health: string; lastError: string; labels: Record<string, string> }[]>;
  /** The vector that an expression evaluates to now. */
  query(expression: string): Promise<{ metric: Record<string, string>; value: number }[]>;
  /** What became of each alert rule: its health and the state of its alerts. */
  alertRules(): Promise<{ name: string; health: string; lastError?: string; state: string }[]>;
}

export function prometheusApi(url: string): PrometheusApi {
  const get = async (path: string): Promise<unknown> =>
    (await (await fetch(`${url}/api/v1/${path}`)).json()) as unknown;
  return {
    async activeTargets() {
      const { data } = (await get("targets?state=active")) as {
        data: { activeTargets: Awaited<ReturnType<PrometheusApi["activeTargets"]>> };
      };
      return data.activeTargets;
    },
    async query(expression) {
      const { data, error } = (await get(`query?query=${encodeURIComponent(expression)}`)) as {
        data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
        error?: string;
      };
      if (data === undefined) throw new Error(`${expression}: ${error}`);
      return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    async alertRules() {
      const { data } = (await get("rules?type=alert")) as {
        data: { groups: { rules: Awaited<ReturnType<PrometheusApi["alertRules"]>> }[] };
      };
      return data.groups.flatMap(({ rules }) => rules);
    },
  };
}
