import { Finding } from "@espalier/shared/contracts/finding";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { DiagnoseResponse__Output } from "@espalier/shared/generated/espalier/v1/DiagnoseResponse";
import type { GetStatusResponse__Output } from "@espalier/shared/generated/espalier/v1/GetStatusResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { connect, type LoadedContext, readContext, unary } from "../client.ts";
import { version } from "../version.ts";
import { certificateFindings, clockFinding, contextFinding } from "./local-findings.ts";
import { portFinding, portsOf } from "./port-findings.ts";

const connectTimeoutMs = 5_000;

/**
 * Looks at everything between this machine and the coordinator, then asks the coordinator about itself. Nothing stops it:
 * what can't be looked at is a finding.
 */
export async function examine(contextPath: string): Promise<Finding[]> {
  let context: LoadedContext;
  try {
    context = readContext(contextPath);
  } catch (error) {
    return [failure("context", error)];
  }
  const local = [contextFinding(contextPath), ...certificateFindings(context, Date.now())];
  const client = connect(contextPath);
  try {
    const { status, findings } = await askCoordinator(client);
    const ports = await Promise.all(portsOf(context.operatorAddress, status).map(portFinding));
    return [...local, ...ports, ...findings];
  } finally {
    client.close();
  }
}

async function askCoordinator(
  client: OperatorClient,
): Promise<{ status: GetStatusResponse__Output | null; findings: Finding[] }> {
  try {
    // Making the connection takes longer than a question on it, and the clock is judged by the question's time.
    await new Promise((resolve) => client.waitForReady(Date.now() + connectTimeoutMs, resolve));
    const askedAtMs = Date.now();
    const status = await unary<GetStatusResponse__Output>((done) => client.getStatus({}, done));
    const clock = clockFinding(status.nowMs, askedAtMs, Date.now());
    const { findings } = await unary<DiagnoseResponse__Output>((done) => client.diagnose({}, done));
    const known = findings.map((finding) => Finding.parse(finding));
    return { status, findings: [you(status), clock, versionFinding(status), ...known] };
  } catch (error) {
    return { status: null, findings: [failure("coordinator", error)] };
  }
}

function you({ operator, role }: GetStatusResponse__Output): Finding {
  return { check: "access", level: "ok", message: `you are ${operator} (${role})`, fix: "" };
}

function versionFinding(status: GetStatusResponse__Output): Finding {
  const check = "versions";
  if (status.version === version) return { check, level: "ok", message: `this espalier: ${version}`, fix: "" };
  const message = `this espalier is ${version}, the coordinator ${status.version}`;
  return { check, level: "warning", message, fix: "use the same version of both" };
}

function failure(check: string, error: unknown): Finding {
  const fix = error instanceof EspalierError ? (error.remedy ?? "") : "";
  return { check, level: "error", message: messageOf(error), fix };
}
