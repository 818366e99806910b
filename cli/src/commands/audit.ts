import type { AuditEntry__Output } from "@espalier/shared/generated/espalier/v1/AuditEntry";
import type { ListAuditResponse__Output } from "@espalier/shared/generated/espalier/v1/ListAuditResponse";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { state } from "../output/colour.ts";
import type { Listing } from "../output/print.ts";
import { time } from "../output/quantities.ts";
import { addList } from "./list-command.ts";
import { parseSince } from "./since.ts";

const listing: Listing<AuditEntry__Output> = {
  name: ({ atMs, who, action }) => `${new Date(atMs).toISOString()} ${who} ${action}`,
  none: "no operator changed anything",
  columns: [
    { title: "WHEN", cell: ({ atMs }) => time(atMs, false) },
    { title: "TIME", cell: ({ atMs }) => time(atMs, true), wide: true },
    { title: "WHO", cell: ({ who }) => who },
    { title: "CALL", cell: ({ action }) => action },
    { title: "SUBJECT", cell: ({ target }) => target },
    { title: "OUTCOME", cell: ({ outcome }) => state(outcome) },
    { title: "DETAIL", cell: ({ detail }) => detail.replaceAll(/\s+/g, " "), wraps: true },
  ],
};

export function auditCommand(program: Command): void {
  addList<AuditEntry__Output, { since: number; limit: number; who: string }>(program, {
    name: "audit",
    description: "who changed what, when and with what outcome, and what was denied; newest first",
    examples: [
      ["espalier audit --since 24h", "what was done since yesterday"],
      ["espalier audit -l outcome=denied -o wide", "what was refused, with exact times"],
      ["espalier audit --who ada -o json", "one operator's deeds, for a program"],
    ],
    listing,
    labels: ({ who, action, outcome }) => ({ who, action, outcome }),
    selectorHelp: "only entries with this who, action or outcome, e.g. outcome=denied",
    options: (command) =>
      command
        .option("--since <time>", "only what happened since then: 30m, 2h, 7d or a time", (text) => parseSince(text), 0)
        .option("--limit <count>", "at most the newest so many", Number, 100)
        .option("--who <name>", "only of this operator", ""),
    async fetch(client, { since, limit, who }) {
      const request = { sinceMs: since, limit, who };
      return (await unary<ListAuditResponse__Output>((done) => client.listAudit(request, done))).entries;
    },
  });
}
