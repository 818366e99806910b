import { ClassCorrection, type CorrectedQuantity } from "@espalier/shared/contracts/correction";
import { EspalierError } from "@espalier/shared/errors";
import type { ListCorrectionsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListCorrectionsResponse";
import type { ResetCorrectionsResponse__Output } from "@espalier/shared/generated/espalier/v1/ResetCorrectionsResponse";
import { fromDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { unary } from "../client.ts";
import { addExamples } from "../help/examples.ts";
import { correctedWhat } from "../output/correction.ts";
import type { Listing } from "../output/print.ts";
import { withClient } from "../session.ts";
import { addList } from "./list-command.ts";

/** One corrected quantity of a class. */
type Row = { hardwareClass: string; quantity: CorrectedQuantity } & ClassCorrection["quantities"][number];

const listing: Listing<Row> = {
  name: ({ hardwareClass, quantity }) => `${hardwareClass}/${quantity}`,
  none: "no prediction is corrected: no rollout has measured variants yet, or all was reset since",
  columns: [
    { title: "CLASS", cell: ({ hardwareClass }) => hardwareClass },
    { title: "QUANTITY", cell: ({ quantity }) => correctedWhat[quantity] },
    { title: "FACTOR", cell: ({ factor, bounded }) => `${factor.toFixed(3)}${bounded ? " (bound)" : ""}` },
    { title: "MEASURED/PREDICTED", cell: ({ medianRatio }) => medianRatio.toFixed(3) },
    { title: "DEVICES", cell: ({ devices }) => String(devices) },
  ],
};

export function correctionCommand(program: Command): void {
  const correction = program
    .command("correction")
    .description("how predictions are corrected by what devices measured in rollouts, by class of hardware");
  addList(correction, {
    name: "list",
    description: "factors by class and quantity, and the devices that they come from",
    examples: [["espalier correction list", "where predictions were off, and by how much they are corrected"]],
    listing,
    labels: ({ hardwareClass, quantity }) => ({ class: hardwareClass, quantity }),
    selectorHelp: "only this class or quantity, e.g. quantity=tpotMs",
    fetch: async (client) => {
      const { corrections } = await unary<ListCorrectionsResponse__Output>((done) => client.listCorrections({}, done));
      return corrections
        .map((document) => fromDocument(document, ClassCorrection))
        .flatMap(({ hardwareClass, quantities }) => quantities.map((quantity) => ({ hardwareClass, ...quantity })));
    },
  });
  addExamples(
    correction
      .command("reset [class]")
      .description("predict by the kit's timings alone again; rollouts from now on correct anew")
      .option("--all", "every class")
      .action(async (hardwareClass: string | undefined, { all }: { all?: boolean }, command) => {
        if ((hardwareClass === undefined) === (all !== true)) {
          throw new EspalierError("correction.unnamed", "name one class, or --all", {
            remedy: "see `espalier correction list`",
          });
        }
        await withClient(command, async (client) => {
          const { hardwareClasses } = await unary<ResetCorrectionsResponse__Output>((done) =>
            client.resetCorrections({ hardwareClass: hardwareClass ?? "" }, done),
          );
          process.stderr.write(`reset: ${hardwareClasses.join(", ") || "nothing was corrected"}\n`);
        });
      }),
    [["espalier correction reset cortex-a72-4c-4t", "after a kernel or firmware that changed its speed"]],
  );
}
