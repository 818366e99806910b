import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Digest } from "@espalier/shared/contracts/digest";
import { startNatsServer, type TestNatsServer } from "@espalier/shared/testing/nats-server";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { putObjects } from "../../../agent/src/testing/artifact.ts";
import { startCoordinator, type TestCoordinator, testToken } from "../../../agent/src/testing/coordinator.ts";
import { eventually } from "../../eventually.ts";
import { type AgentProcess, agentProcess } from "./agent-process.ts";
import { type SlowLink, startSlowLink } from "./slow-link.ts";
import { assignmentOf, type ChaosVariant } from "./variant.ts";

/**
 * One device with a real broker, over a link that tests slow down or cut. The coordinator is a stand-in that says what
 * the test tells it to, since a real one refuses to assign the bad artifacts that devices must survive.
 */
export interface Site {
  readonly broker: TestNatsServer;
  readonly connection: NatsConnection;
  readonly link: SlowLink;
  readonly coordinator: TestCoordinator;
  readonly agent: AgentProcess;
  /** Puts the variant into the bucket and assigns it in the device's next generation. @returns the generation's number */
  assign(variant: ChaosVariant, options?: { without?: readonly Digest[] }): Promise<number>;
  /** Puts what an assignment was made without. */
  complete(variant: ChaosVariant): Promise<void>;
  /** What the device reported for a generation, in order. */
  reports(n: number): { state: string; reason: string; proof: string | null }[];
  /** Waits until the device reported an end of the generation. */
  outcome(n: number): Promise<{ state: string; reason: string; proof: string | null }>;
  /** The artifact that answers requests, null while none does; and the text that it answers. */
  serving(): Promise<{ digest: Digest; text: string } | null>;
}

const name = "edge";
/** Agents of one host take turns in timing: whatever else measures there is waited for. */
export const outcomeWithinMs = 300_000;

export async function startSite(
  t: Pick<TestContext, "after">,
  options: { agentArgs?: readonly string[]; dataFolder?: string } = {},
): Promise<Site> {
  const root = await mkdtemp(join(tmpdir(), "espalier-chaos-"));
  const broker = await startNatsServer();
  const connection = await connect({ servers: broker.url });
  const link = await startSlowLink(broker.url);
  const coordinator = await startCoordinator({ natsUrls: [link.url] });
  const authority = join(root, "authority.pem");
  await writeFile(authority, coordinator.authority.certificatePem);
  const enrollment = ["--enroll", coordinator.enrollmentAddress, "--token", testToken, "--authority", authority];
  const args = [...enrollment, "--name", name, "--threads", "1", "--context", "128", ...(options.agentArgs ?? [])];
  const agent = agentProcess(options.dataFolder ?? join(root, name), args);
  t.after(async () => {
    await agent.end("SIGKILL");
    await link.stop();
    await connection.close();
    coordinator.stop();
    await broker.stop();
    await rm(root, { recursive: true, force: true });
  });

  let generation = 0;
  const reports: Site["reports"] = (n) =>
    coordinator.messages.flatMap(({ status }) =>
      status?.generation?.n === n
        ? [{ state: status.state, reason: status.reason, proof: status.proof?.json ?? null }]
        : [],
    );
  return {
    broker,
    connection,
    link,
    coordinator,
    agent,
    async assign(variant, { without = [] } = {}) {
      await putObjects(
        connection,
        [...variant.objects].filter(([digest]) => !without.includes(digest)),
      );
      const assignment = assignmentOf(name, { epoch: 1, n: ++generation }, variant);
      const vouch = { generation: assignment.generation, artifactDigest: variant.digest };
      coordinator.vouched = vouch;
      await (await new Kvm(connection).create("assignments")).put(name, JSON.stringify(assignment));
      coordinator.say({ vouch });
      return generation;
    },
    complete: (variant) => putObjects(connection, variant.objects),
    reports,
    outcome: (n) =>
      eventually(async () => {
        const found = reports(n).find(({ state }) => ["STATE_ACTIVE", "STATE_FAILED"].includes(state));
        if (found === undefined) throw new Error(`no end of generation ${n} reported:\n${agent.log.slice(-3000)}`);
        return found;
      }, outcomeWithinMs),
    async serving() {
      const response = await fetch(`${agent.apiUrl}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: "Once upon a time", max_tokens: 8, temperature: 0 }),
      });
      if (response.status === 503) return null;
      const body = (await response.json()) as { system_fingerprint: Digest; choices: { text: string }[] };
      return { digest: body.system_fingerprint, text: body.choices[0]?.text ?? "" };
    },
  };
}
