import type { Finding } from "@espalier/shared/contracts/finding";
import type { Command } from "commander";
import { examine } from "../doctor/examine.ts";
import { exitCodes } from "../exit-codes.ts";
import { addExamples } from "../help/examples.ts";
import { state } from "../output/colour.ts";
import { type Listing, renderList } from "../output/print.ts";
import { contextPath, type GlobalOptions } from "../session.ts";

const listing: Listing<Finding> = {
  name: ({ check, level }) => `${check} ${level}`,
  columns: [
    { title: "CHECK", cell: ({ check }) => check },
    { title: "RESULT", cell: ({ level }) => state(level) },
    { title: "FOUND", cell: ({ message }) => message, wraps: true },
    { title: "FIX", cell: ({ fix }) => fix, wraps: true },
  ],
};

export function doctorCommand(program: Command): void {
  const doctor = program
    .command("doctor")
    .description(
      "find what is wrong (access, ports, clocks, NATS, disk, versions, certificates, devices) and how to fix it",
    )
    .option("-q, --quiet", "only what is not well")
    .action(async (options: { quiet?: boolean }) => {
      const globals = doctor.optsWithGlobals<GlobalOptions>();
      const findings = await examine(contextPath(globals));
      const shown = options.quiet === true ? findings.filter(({ level }) => level !== "ok") : findings;
      process.stdout.write(renderList(shown, listing, globals.output));
      const count = (level: Finding["level"]) => findings.filter((finding) => finding.level === level).length;
      process.stderr.write(`${count("ok")} well, ${count("warning")} warning(s), ${count("error")} error(s)\n`);
      if (count("error") > 0) process.exitCode = exitCodes.failed.code;
    });
  addExamples(doctor, [
    ["espalier doctor", "before you ask somebody else"],
    ["espalier doctor -q -o json", "for a monitor: exit code 1 when there is an error"],
  ]);
}
