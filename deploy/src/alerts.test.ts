import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promtoolBinary } from "@espalier/shared/testing/binaries";
import { parse } from "yaml";
import { fleetAlerts } from "./alerts.ts";

const rules = fileURLToPath(new URL("../prometheus/rules/espalier.yml", import.meta.url));
const ruleTests = fileURLToPath(new URL("../prometheus/tests/espalier.test.yml", import.meta.url));

test("Prometheus accepts the alert rules, and each fires when it should and not in a neighbouring state", (t) => {
  const promtool = promtoolBinary();
  if (promtool === null) {
    t.skip("the bootstrap has not found promtool");
    return;
  }
  execFileSync(promtool, ["check", "rules", "--lint-fatal", rules], { stdio: ["ignore", "ignore", "pipe"] });
  execFileSync(promtool, ["test", "rules", ruleTests], { stdio: ["ignore", "ignore", "pipe"] });
});

test("every alert has a case in which it fires", async () => {
  const { tests } = parse(await readFile(ruleTests, "utf8")) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const firing = tests.flatMap((one) => one.alert_rule_test).filter(({ exp_alerts }) => exp_alerts.length > 0);
  assert.deepEqual(
    [...new Set(firing.map(({ alertname }) => alertname))].sort(),
    fleetAlerts.map(({ name }) => name).sort(),
  );
});
