import type { GetStatusResponse__Output } from "@espalier/shared/generated/espalier/v1/GetStatusResponse";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { renderFacts } from "../output/facts.ts";
import type { Showing } from "../output/print.ts";
import { showOne } from "../session.ts";

const showing: Showing<GetStatusResponse__Output> = {
  name: ({ operator }) => operator,
  text(status) {
    return renderFacts([
      ["coordinator", `${status.version}, console and metrics at ${status.httpUrl}`],
      ["you are", `${status.operator} (${status.role})`],
      ["devices", `${status.devicesOnline} online of ${status.devicesTotal}`],
      ["builders", String(status.buildersSeen)],
      ["devices enroll at", status.enrollmentAddress],
      ["broker", status.natsUrls.join(", ")],
    ]);
  },
};

export function statusCommand(program: Command): void {
  const command = program
    .command("status")
    .description("where the coordinator listens, who you are to it, and how many devices it sees")
    .action((_options, command) =>
      showOne(command, showing, (client) => unary<GetStatusResponse__Output>((done) => client.getStatus({}, done))),
    );
  addExamples(command, [
    ["espalier status", "is it there, and who am I to it?"],
    ["espalier --context ada.context.json status -o json", "with another operator's context, for a program"],
  ]);
}
