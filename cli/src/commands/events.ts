import type { Event__Output } from "@espalier/shared/generated/espalier/v1/Event";
import type { ListEventsRequest } from "@espalier/shared/generated/espalier/v1/ListEventsRequest";
import type { ListEventsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListEventsResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { state } from "../output/colour.ts";
import type { Listing } from "../output/print.ts";
import { shortDigest, time, unknown } from "../output/quantities.ts";
import { addList, type ListCommand } from "./list-command.ts";
import { parseSince } from "./since.ts";

/** An event with its data read. */
export type EventView = Omit<Event__Output, "dataJson"> & { data: Record<string, unknown> };

/** Oldest first, as one reads what happened. */
export async function listEvents(client: OperatorClient, request: ListEventsRequest): Promise<EventView[]> {
  const { events } = await unary<ListEventsResponse__Output>((done) => client.listEvents(request, done));
  return events.map(({ dataJson, ...event }) => ({ ...event, data: JSON.parse(dataJson) })).reverse();
}

const listing: Listing<EventView> = {
  name: (event) => event.id,
  none: "nothing happened",
  columns: [
    { title: "WHEN", cell: (event) => time(event.atMs, false) },
    { title: "TIME", cell: (event) => time(event.atMs, true), wide: true },
    { title: "DEVICE", cell: (event) => event.deviceName || event.deviceId || unknown },
    { title: "WHAT", cell: ({ kind }) => kindText(kind) },
    { title: "ROLLOUT", cell: (event) => event.rolloutId || unknown, wide: true },
    { title: "MESSAGE", cell: messageText, wraps: true },
  ],
};

/** A device's report without words is about an artifact. */
function messageText({ message, data }: EventView): string {
  const { artifactDigest } = data;
  return message !== "" || typeof artifactDigest !== "string" ? message : `artifact ${shortDigest(artifactDigest)}`;
}

/** `device.active` -> `device active` with the state in its colour. */
function kindText(kind: string): string {
  const dot = kind.indexOf(".");
  return `${kind.slice(0, dot)} ${state(kind.slice(dot + 1))}`;
}

export interface EventOptions {
  since: number;
  limit: number;
}

/** Adds a verb that lists events of what its argument names. */
export function addEventList(
  group: Command,
  verb: Pick<ListCommand<EventView, EventOptions>, "name" | "description" | "examples">,
  about: (argument: string) => Pick<ListEventsRequest, "device" | "rollout">,
): void {
  addList<EventView, EventOptions>(group, {
    ...verb,
    listing,
    labels: ({ kind, deviceName }) => ({ kind, device: deviceName }),
    selectorHelp: "only events with this kind or device, e.g. kind=device.failed",
    options: (command) =>
      command
        .option("--since <time>", "only what happened since then: 30m, 2h, 7d or a time", (text) => parseSince(text), 0)
        .option("--limit <count>", "at most the newest so many", Number, 100),
    fetch: (client, { since, limit }, [argument = ""]) =>
      listEvents(client, { ...about(argument), sinceMs: since, limit }),
  });
}
