import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { stringify } from "yaml";
import { checkoutFolder } from "./binaries.ts";

const scrapeInterval = "5s";
const retention = "7d";

/** Writes a configuration that scrapes a coordinator and its devices as deploy/prometheus does, with the same alert rules. */
export async function prometheusArguments(parts: { folder: string; url: string; httpUrl: string }): Promise<string[]> {
  const { folder, url, httpUrl } = parts;
  await mkdir(folder, { recursive: true });
  const configPath = join(folder, "prometheus.yml");
  const config = {
    global: { scrape_interval: scrapeInterval, evaluation_interval: scrapeInterval },
    rule_files: [join(checkoutFolder, "deploy/prometheus/rules/*.yml")],
    scrape_configs: [
      { job_name: "espalier", static_configs: [{ targets: [new URL(httpUrl).host] }] },
      { job_name: "espalier-devices", http_sd_configs: [{ url: `${httpUrl}/sd`, refresh_interval: scrapeInterval }] },
    ],
  };
  await writeFile(configPath, stringify(config));
  return [
    ...[`--config.file=${configPath}`, `--storage.tsdb.path=${join(folder, "data")}`],
    ...[`--storage.tsdb.retention.time=${retention}`, `--web.listen-address=${new URL(url).host}`],
    "--log.level=warn",
  ];
}

/** A loopback URL with a port that is free now: Prometheus can't be asked which one it chose. */
export async function freeLoopbackUrl(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new TypeError("a TCP server has a port");
  return `http://127.0.0.1:${address.port}`;
}

/** True once it answers, for `ManagedProcess.ready`. */
export async function isPrometheusReady(url: string): Promise<true | undefined> {
  const response = await fetch(`${url}/-/ready`).catch(() => undefined);
  return response?.ok === true ? true : undefined;
}
