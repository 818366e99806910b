import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { performance } from "node:perf_hooks";
import { patientBackoff } from "@espalier/shared/backoff";
import { AgentEndpoints } from "@espalier/shared/contracts/context";
import { Digest } from "@espalier/shared/contracts/digest";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";
import { readApiKey } from "./api/api-key.ts";
import { type ApiServer, type Route, startApiServer } from "./api/api-server.ts";
import { ModelSlot } from "./api/model-slot.ts";
import { locateControlGroups } from "./budget/control-groups.ts";
import { type Enforced, enforceBudget } from "./budget/enforce.ts";
import { createArtifactBucket } from "./download/artifact-bucket.ts";
import { openChunkStore } from "./download/chunk-store.ts";
import type { ObtainDeps } from "./download/obtain-variant.ts";
import { openVariantStore } from "./download/variant-store.ts";
import { enroll } from "./enroll/enroll.ts";
import { holdIdentity, type Identity, loadIdentity, saveIdentity } from "./enroll/identity.ts";
import { keepRenewed } from "./enroll/renewal.ts";
import { readHostId, readInventory } from "./inventory/inventory.ts";
import { readMachineState } from "./inventory/power.ts";
import { createGarbageCollector } from "./measure/collect-garbage.ts";
import { createHostLock } from "./measure/host-lock.ts";
import { createMeasureCommands } from "./measure/measure-commands.ts";
import { createMeasureItem } from "./measure/measure-item.ts";
import { createProcessMemory } from "./measure/process-memory.ts";
import { watchAssignment } from "./nats/assignments.ts";
import { connectBroker } from "./nats/connect.ts";
import { createLazyBroker } from "./nats/lazy-broker.ts";
import type { AgentOptions } from "./options.ts";
import { RuntimeWorkers } from "./runtime/runtime-workers.ts";
import type { LogRing } from "./session/log-ring.ts";
import { openReportOutbox } from "./session/report-outbox.ts";
import { createSession } from "./session/session.ts";
import { type DataFolder, openDataFolder } from "./store/data-folder.ts";
import { writeDurably } from "./store/write-durably.ts";
import { createPublisher } from "./telemetry/publisher.ts";
import { Telemetry } from "./telemetry/telemetry.ts";
import { openStateStore } from "./update/agent-state.ts";
import { createReporter } from "./update/reporter.ts";
import { createUpdater } from "./update/updater.ts";
import { createVariantMemory } from "./update/variant-memory.ts";

const clock = { now: () => Date.now() };
/** A device that waits for an operator's consent asks about every minute. */
const renewalBackoff = { firstMs: 5_000, maxMs: 60_000, factor: 2 };
/** Requests that run and wait together; the next one is told to come back. */
const maxRequests = 8;
/** One thread waits for the next variant while another serves. */
const idleWorkers = 1;

export interface Agent {
  readonly deviceId: string;
  readonly apiUrl: string;
  /** Stops everything, gives the control group back; serving requests are cancelled. */
  close(): Promise<void>;
}

/**
 * Starts an agent: enrolls it if it is new, serves its active variant at once (offline too) and follows its coordinator.
 * @param logs what `log` wrote lately
 * @throws {EspalierError} of enrollment and identity; everything later is retried for ever
 */
export async function startAgent(options: AgentOptions, log: Logger, logs: Pick<LogRing, "read">): Promise<Agent> {
  const folder = await openDataFolder(options.dataFolder);
  const identity = holdIdentity(folder.identity, await obtainIdentity(folder, options, log));
  const { deviceId } = identity.current;
  const { budget, contextTokens } = options;
  const groups = locateControlGroups(await procText("self/cgroup"), await procText("self/mountinfo"));
  const enforced = await enforceBudget({ budget, groups, groupName: groupName(folder), pid: process.pid });
  log.info({ deviceId, budget, enforcement: enforced.enforcement }, "budget");

  const stop = new AbortController();
  const memory = createProcessMemory();
  const collectGarbage = createGarbageCollector();
  const variantMemory = createVariantMemory(memory, collectGarbage);
  const hostLock = createHostLock(await readHostId("/proc"));
  const state = await openStateStore(folder.stateFile, log);
  const outbox = await openReportOutbox(folder.reportsFile, log);
  const chunks = openChunkStore(folder.chunks);
  const variants = await openVariantStore(folder.variants);
  const slot = new ModelSlot();
  const workers = new RuntimeWorkers({ mostIdle: idleWorkers });
  const telemetry = new Telemetry({ deviceId, memory, readMachine: () => readMachineState("/sys"), clock });
  const { natsUrls, natsUserJwt, natsSeed } = identity.current;
  const user = natsUserJwt === "" ? null : { jwt: () => identity.current.natsUserJwt, seed: natsSeed };
  const broker = createLazyBroker(connectBroker({ deviceId, natsUrls, user }), stop.signal);
  const bucket = {
    read: async (...args: Parameters<ReturnType<typeof createArtifactBucket>["read"]>) =>
      (await broker.get(args[2], createArtifactBucket)).read(...args),
  };

  const obtain: ObtainDeps = {
    bucket,
    chunks,
    variants,
    dataRoot: folder.root,
    diskBudgetBytes: budget.diskBytes,
    evictable: () => {
      const { active, previous } = state.value;
      const needed = active?.artifactDigest;
      return previous !== null && previous.artifactDigest !== needed ? [previous.artifactDigest] : [];
    },
    damaged: new Set(),
  };
  const load = { variants, threads: budget.threads, spinning: options.spin, contextTokens, workers, log };

  let publishNow = (): void => undefined;
  const updater = createUpdater({
    state,
    slot,
    obtain,
    load,
    chunks,
    memory: variantMemory,
    memoryBudgetBytes: budget.memoryBytes,
    hostLock,
    sys: "/sys",
    reporter: createReporter({ outbox, clock, log }),
    onServing(installed) {
      telemetry.serve(installed);
      publishNow();
    },
    clock,
    log,
    backoff: patientBackoff,
    random: Math.random,
  });

  const api = await startApi(options, slot, telemetry, log).catch(async (error: unknown) => {
    await enforced.release();
    throw error;
  });
  const endpoints: AgentEndpoints = { schemaVersion: 1, pid: process.pid, deviceId, apiUrl: api.url };
  await writeDurably(folder.endpointsFile, `${JSON.stringify(AgentEndpoints.parse(endpoints))}\n`).catch(
    (error: unknown) => log.warn({ error: messageOf(error) }, "the API's address could not be written for local tools"),
  );

  const kit = { bucket, threads: budget.threads, spinning: options.spin, memoryBudgetBytes: budget.memoryBytes };
  const measure = createMeasureItem({
    obtain,
    load,
    memory: variantMemory,
    kit,
    scratch: folder.scratch,
    sys: "/sys",
  });
  const commands = createMeasureCommands({
    hostLock,
    measure,
    baseMemoryBytes: () => variantMemory.baseBytes(),
    send: (update) => session.sendMeasurement(update),
    log,
  });
  const session = createSession({
    identity: () => identity.current,
    hello: async () => ({
      inventory: await readInventory({ dataRoot: folder.root, groups, agentVersion, proc: "/proc", sys: "/sys" }),
      budget,
      enforcement: enforced.enforcement,
      generation: state.value.assignment?.generation ?? null,
      activeArtifactDigest: state.value.active?.artifactDigest ?? null,
      localApiUrl: api.url,
    }),
    outbox,
    onVouch: async ({ generation, artifactDigest }) => {
      if (generation !== null) await updater.vouch(generation, Digest.parse(artifactDigest));
    },
    onMeasure: commands.start,
    onCancelMeasurement: commands.cancel,
    logs,
    backoff: { ...patientBackoff, maxMs: 10_000 },
    clock,
    random: Math.random,
    log,
  });

  await collectGarbage();
  variantMemory.baseBytes();
  const running = Promise.all([
    updater.run(stop.signal),
    session.run(stop.signal),
    keepRenewed({ identity, clock, backoff: renewalBackoff, random: Math.random, log }, stop.signal),
    broker.whenConnected(async (connection) => {
      const intervalMs = options.telemetryIntervalMs;
      const publisher = createPublisher({ connection, telemetry, deviceId, intervalMs, log });
      publishNow = publisher.now;
      const { assign } = updater;
      const watching = watchAssignment({ connection, deviceId, onAssignment: assign, log }, stop.signal);
      await Promise.all([publisher.run(stop.signal), watching]);
    }),
  ]);
  running.catch((error: unknown) => log.error({ error: String(error) }, "a part of the agent stopped"));
  log.info({ deviceId, apiUrl: api.url, dataFolder: folder.root }, "agent is up");
  return {
    deviceId,
    apiUrl: api.url,
    close: () => close({ stop, commands, running, api, slot, workers, broker, enforced }),
  };
}

interface Parts {
  readonly stop: AbortController;
  readonly commands: { close(): Promise<void> };
  readonly running: Promise<unknown>;
  readonly api: ApiServer;
  readonly slot: ModelSlot;
  readonly workers: RuntimeWorkers;
  readonly broker: { close(): Promise<void> };
  readonly enforced: Enforced;
}

async function close({ stop, commands, running, api, slot, workers, broker, enforced }: Parts): Promise<void> {
  stop.abort(new Error("the agent stops"));
  await commands.close();
  await running.catch(() => undefined);
  await api.close();
  await slot.swap(null);
  await workers.close();
  await broker.close();
  await enforced.release();
}

async function obtainIdentity(folder: DataFolder, options: AgentOptions, log: Logger): Promise<Identity> {
  const known = await loadIdentity(folder.identity);
  if (known !== undefined) {
    const enrollmentAddress = known.enrollmentAddress || (options.enrollment?.address ?? "");
    return { ...known, enrollmentAddress };
  }
  const { enrollment } = options;
  if (enrollment === null)
    throw new EspalierError(
      "enroll.needed",
      `${folder.root} holds no identity. Give --enroll, --token and --authority once; \`espalier token create\` prints them.`,
      { fields: { path: folder.root } },
    );
  const { address, token, labels } = enrollment;
  const authorityPem = await readFile(enrollment.authorityPath, "utf8");
  const name = enrollment.name === "" ? hostname() : enrollment.name;
  const identity = await enroll({ address, token, authorityPem, name, labels });
  await saveIdentity(folder.identity, identity);
  log.info({ deviceId: identity.deviceId }, "enrolled");
  return identity;
}

async function startApi(
  { apiKeyFile, apiPort }: AgentOptions,
  slot: ModelSlot,
  telemetry: Telemetry,
  log: Logger,
): Promise<ApiServer> {
  const metrics: Route = async (_request, response) => {
    const { text, contentType } = await telemetry.exposition();
    response.writeHead(200, { "content-type": contentType }).end(text);
  };
  return startApiServer(
    {
      slot,
      maxRequests,
      apiKey: apiKeyFile === null ? null : await readApiKey(apiKeyFile),
      nowMs: () => performance.now(),
      onRequestDone: (observation) => telemetry.observe(observation),
      extraRoutes: { "/metrics": metrics },
      log,
    },
    apiPort,
  );
}

/** Equal for restarts on one data folder, so that a killed agent's group is taken over. */
function groupName({ root }: DataFolder): string {
  return `espalier-agent-${createHash("sha256").update(root).digest("hex").slice(0, 12)}`;
}

async function procText(path: string): Promise<string> {
  return readFile(`/proc/${path}`, "utf8").catch(() => "");
}

const { version: agentVersion }: { version: string } = createRequire(import.meta.url)("../package.json");
