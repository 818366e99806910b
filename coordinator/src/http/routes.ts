import { hasCode, messageOf } from "@espalier/shared/errors";
import { matchesSelector } from "@espalier/shared/selector";
import type { Registry } from "prom-client";
import { rangeNamed } from "../console/charts.ts";
import { writeConsole } from "../console/page.ts";
import type { QueryRange } from "../console/query-range.ts";
import { listDevices, type StoredDevice } from "../store/devices.ts";
import type { Store } from "../store/open.ts";
import type { DeviceClasses } from "../telemetry/device-classes.ts";
import { writeDevice } from "../telemetry/device-exposition.ts";
import { expositionType } from "../telemetry/exposition.ts";
import { writeFleet } from "../telemetry/fleet-exposition.ts";
import type { FleetTelemetry } from "../telemetry/fleet-telemetry.ts";
import { type HttpAnswer, type HttpHandler, plain } from "./server.ts";

export interface RouteDependencies {
  store: Store;
  telemetry: FleetTelemetry;
  classes: DeviceClasses;
  /** The coordinator's own counters. */
  registry: Registry;
  isOnline: (deviceId: string) => boolean;
  /** What keeps the coordinator from working, empty when it works. */
  problems: () => Promise<readonly string[]>;
  /** For the console's charts; null without a Prometheus. */
  queryRange: QueryRange | null;
  /** `host:port` under which Prometheus reaches this server. */
  target: () => string;
  now: () => number;
}

/** `/metrics`, `/devices/<id>/metrics`, `/sd`, `/healthz`, `/readyz` and the console at `/`. */
export function createRoutes(parts: RouteDependencies): HttpHandler {
  const { store, telemetry, registry, isOnline, queryRange, now } = parts;
  const exact: Readonly<Record<string, (url: URL) => Promise<HttpAnswer>>> = {
    "/": async ({ searchParams }) => ({
      status: 200,
      contentType: "text/html; charset=utf-8",
      body: await writeConsole({
        store,
        isOnline,
        queryRange,
        range: rangeNamed(searchParams.get("range")),
        nowMs: now(),
      }),
    }),
    "/metrics": async () => metrics(await writeFleet({ store, telemetry, registry, isOnline, nowMs: now() })),
    "/sd": (url) => discover(parts, url.searchParams.get("selector") ?? ""),
    "/healthz": async () => plain(200, "ok"),
    "/readyz": async () => {
      const problems = await parts.problems();
      return problems.length === 0 ? plain(200, "ok") : plain(503, problems.join("\n"));
    },
  };
  return async (url) => {
    const handle = Object.hasOwn(exact, url.pathname) ? exact[url.pathname] : undefined;
    if (handle !== undefined) return handle(url);
    const deviceId = /^\/devices\/([A-Za-z0-9._-]{1,200})\/metrics$/.exec(url.pathname)?.[1];
    return deviceId === undefined ? null : deviceMetrics(parts, deviceId);
  };
}

async function deviceMetrics(
  { telemetry, classes, now }: RouteDependencies,
  deviceId: string,
): Promise<HttpAnswer | null> {
  if ((await classes.classOf(deviceId)) === null) return null;
  const device = telemetry.device(deviceId);
  if (device === undefined) return plain(503, "the device has not reported yet");
  if (telemetry.isStale(device, now())) {
    const seconds = Math.round((now() - device.receivedAtMs) / 1000);
    return plain(503, `the device last reported ${seconds} s ago`);
  }
  return metrics(writeDevice(device));
}

/** Prometheus HTTP service discovery: one target per device, narrowed by `?selector=key=value`. */
async function discover({ store, classes, target }: RouteDependencies, selector: string): Promise<HttpAnswer> {
  let devices: StoredDevice[];
  try {
    devices = (await listDevices(store.db)).filter(({ labels }) => matchesSelector(selector, labels));
  } catch (error) {
    if (hasCode(error, "selector.malformed")) return plain(400, messageOf(error));
    throw error;
  }
  const groups = await Promise.all(
    devices.map(async ({ id, name }) => ({
      targets: [target()],
      labels: {
        __metrics_path__: `/devices/${id}/metrics`,
        instance: name,
        device_id: id,
        device_class: (await classes.classOf(id)) ?? "unknown",
      },
    })),
  );
  return { status: 200, contentType: "application/json", body: JSON.stringify(groups) };
}

function metrics(body: string): HttpAnswer {
  return { status: 200, contentType: expositionType, body };
}
