import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";

export interface PrometheusServer {
  /** Answers of /api/v1/targets. */
  activeTargets(): Promise<{ scrapeUrl: string; health: string; lastError: string; labels: Record<string, string> }[]>;
  /** The vector that an expression evaluates to now. */
  query(expression: string): Promise<{ metric: Record<string, string>; value: number }[]>;
  stop(): Promise<void>;
}

/** A real Prometheus that scrapes a coordinator every second as deploy/prometheus/prometheus.yml does. */
export async function startPrometheus(binary: string, folder: string, httpUrl: string): Promise<PrometheusServer> {
  await mkdir(folder, { recursive: true });
  const target = new URL(httpUrl).host;
  const config = {
    global: { scrape_interval: "1s" },
    scrape_configs: [
      { job_name: "espalier", static_configs: [{ targets: [target] }] },
      { job_name: "espalier-devices", http_sd_configs: [{ url: `${httpUrl}/sd`, refresh_interval: "1s" }] },
    ],
  };
  const configPath = join(folder, "prometheus.yml");
  await writeFile(configPath, stringify(config));
  const port = await freePort();
  const child = spawn(
    binary,
    [
      ...[`--config.file=${configPath}`, `--storage.tsdb.path=${join(folder, "data")}`],
      ...[`--web.listen-address=127.0.0.1:${port}`, "--log.level=warn"],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const base = `http://127.0.0.1:${port}`;
  await untilReady(child, `${base}/-/ready`);
  const api = async (path: string): Promise<unknown> =>
    (await (await fetch(`${base}/api/v1/${path}`)).json()) as unknown;
  return {
    async activeTargets() {
      const { data } = (await api("targets?state=active")) as {
        data: {
          activeTargets: { scrapeUrl: string; health: string; lastError: string; labels: Record<string, string> }[];
        };
      };
      return data.activeTargets;
    },
    async query(expression) {
      const { data, error } = (await api(`query?query=${encodeURIComponent(expression)}`)) as {
        data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
        error?: string;
      };
      if (data === undefined) throw new Error(`${expression}: ${error}`);
      return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    async stop() {
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      await exit;
    },
  };
}

async function untilReady(child: ChildProcess, url: string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with exit code ${child.exitCode}`);
    const ready = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return;
    await sleep(100);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
