import { randomUUIDv7 } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/shared/errors";
import { createLogger, type Logger } from "@espalier/shared/logging";
import { jetstream } from "@nats-io/jetstream";
import { openBlobStore } from "./blobs/blob-store.ts";
import { createBuilds } from "./builds/builds.ts";
import { ingestJobEvents } from "./builds/ingest-job-events.ts";
import { startJobEventConsumers } from "./builds/job-event-consumers.ts";
import { variantMethods } from "./builds/operator-methods.ts";
import { prometheusQueries } from "./console/query-range.ts";
import { dataNames } from "./data-folder/layout.ts";
import { lockDataFolder } from "./data-folder/lock.ts";
import { settlePorts } from "./data-folder/ports.ts";
import { publishedFiles, publishFiles } from "./data-folder/published-files.ts";
import { createDecommissionDevice } from "./devices/decommission-device.ts";
import { storeDownloadProbe } from "./devices/download-probe.ts";
import { eventMethods } from "./devices/event-methods.ts";
import { createKeepMeasured } from "./devices/keep-measured.ts";
import { logMethods } from "./devices/log-methods.ts";
import { createDeviceMeasurer } from "./devices/measure-device.ts";
import { deviceMethods } from "./devices/operator-methods.ts";
import { createReadmitDevice } from "./devices/readmit-device.ts";
import { createRevokeDevice } from "./devices/revoke-device.ts";
import { createMachineNews } from "./devices/tell-machine-news.ts";
import { enrollmentHandlers } from "./grpc/enrollment.ts";
import { operatorHandlers } from "./grpc/operator.ts";
import { serveEnrollment, serveMembers } from "./grpc/servers.ts";
import { sessionHandlers } from "./grpc/session/connect.ts";
import { createSessionHub } from "./grpc/session/hub.ts";
import { startSeenTimes } from "./grpc/session/seen-times.ts";
import { createRoutes } from "./http/routes.ts";
import { startHttpServer } from "./http/server.ts";
import { openAuthority } from "./identity/authority.ts";
import { createEnroll } from "./identity/enroll.ts";
import { createFailureLimiter } from "./identity/failure-limiter.ts";
import { keepOperatorCertificate } from "./identity/operator-certificate.ts";
import { createRenewal } from "./identity/renew.ts";
import { importMethods } from "./import/operator-methods.ts";
import { startBroker } from "./nats/broker.ts";
import { guardAssignments } from "./nats/guard-assignments.ts";
import { createInbox } from "./nats/inbox.ts";
import { startOutboxSender } from "./nats/outbox-sender.ts";
import { createProjection } from "./nats/projection.ts";
import { reconcile, startReconciler } from "./nats/reconcile.ts";
import { builtInOperator, createOperatorAccess } from "./operator/access.ts";
import { accountMethods } from "./operator/account-methods.ts";
import { diagnoseMethods } from "./operator/diagnose-methods.ts";
import { statusMethods } from "./operator/status-methods.ts";
import { type CoordinatorOptions, isLoopback, readOptions } from "./options.ts";
import { correctionMethods } from "./plan/correction-methods.ts";
import { planMethods } from "./plan/operator-methods.ts";
import { createPlanner } from "./plan/planner.ts";
import { referenceMethods } from "./plan/reference-methods.ts";
import { profileMethods } from "./profile/operator-methods.ts";
import { startRetention } from "./retention/retention.ts";
import { startRolloutEngine } from "./rollout/engine.ts";
import { createMeasurementRuns } from "./rollout/measurement-runs.ts";
import { rolloutMethods } from "./rollout/operator-methods.ts";
import { searchMethods } from "./search/operator-methods.ts";
import { listRevokedNatsKeys } from "./store/devices.ts";
import { listJobs } from "./store/jobs.ts";
import { openSqliteStore } from "./store/open.ts";
import { createDeviceClasses } from "./telemetry/device-classes.ts";
import { FleetTelemetry } from "./telemetry/fleet-telemetry.ts";
import { startTelemetryIngest } from "./telemetry/ingest-telemetry.ts";

const dayMs = 86_400_000;
const heartbeatIntervalMs = 5_000;
const offlineGraceMs = 60_000;
const reconcileIntervalMs = 60_000;
const seenIntervalMs = 15_000;
const retentionIntervalMs = 3_600_000;
const telemetryStaleAfterMs = 60_000;
const enrollmentFailures = { maxFailures: 5, windowMs: 60_000 };

/**
 * Starts the coordinator. What is started is registered with `running` at once, so that it is stopped in reverse order,
 * at the end and when a later part doesn't start.
 */
async function start(options: CoordinatorOptions, running: AsyncDisposableStack, log: Logger): Promise<void> {
  const now = () => Date.now();
  const folder = options.dataFolder;
  const within = (name: string) => join(folder, name);
  const { listenHost, advertisedHost } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = lockDataFolder(folder);
  running.defer(() => lock.release());

  // Truth
  const store = await openSqliteStore(within(dataNames.database));
  running.defer(() => store.close());
  const blobs = await openBlobStore(within(dataNames.blobs));
  const ports = await settlePorts({ folder, host: listenHost, wanted: options.ports });
  const plainHost = isLoopback(listenHost) ? listenHost : advertisedHost;
  const endpoints = {
    httpUrl: `http://${plainHost}:${ports.http}`,
    enrollmentAddress: `${advertisedHost}:${ports.enrollment}`,
    sessionAddress: `${advertisedHost}:${ports.session}`,
  };

  // Identity and broker
  const identityFolder = within(dataNames.authority);
  const authority = await openAuthority({ folder: identityFolder, deviceDays: options.deviceCertificateDays, now });
  const renewOperator = () =>
    keepOperatorCertificate({ folder: identityFolder, name: builtInOperator, authority, now });
  const operatorFiles = await renewOperator();
  const daily = setInterval(() => {
    renewOperator().catch((error: unknown) => log.error({ err: error }, "the operator's certificate can't be renewed"));
  }, dayMs);
  running.defer(() => clearInterval(daily));
  const broker = await startBroker({
    options: options.broker,
    serverFolder: within(dataNames.broker),
    identityFolder: within(dataNames.brokerIdentity),
    listenHost,
    port: ports.nats,
    advertisedHost: plainHost,
    revocations: () => listRevokedNatsKeys(store.db),
    now,
    log,
  });
  running.defer(() => broker.stop());
  const natsUrls = [...broker.urls];

  // Devices
  const seen = startSeenTimes({ store, intervalMs: seenIntervalMs, log });
  running.defer(() => seen.stop());
  const hub = createSessionHub({ store, seen, heartbeatIntervalMs, offlineGraceMs, now, log });
  const { isOnline } = hub;

  const retention = startRetention({ store, keptDays: options.keptDays, intervalMs: retentionIntervalMs, now, log });
  running.defer(() => retention.stop());

  // From the database to the broker
  const client = jetstream(broker.connection);
  const projection = createProjection({ topology: broker.topology, client, blobs });
  const outbox = startOutboxSender({ store, projection, onAssigned: hub.vouch, log });
  running.defer(() => outbox.stop());
  const wakeOutbox = outbox.wake;

  // Builds
  const builds = createBuilds({ store, wakeOutbox, clock: now });
  const inbox = createInbox({ bucket: () => broker.topology().inbox, blobs });
  const events = ingestJobEvents({ store, blobs, inbox, clock: now, log, onJobChanged: builds.jobChanged });
  const jobEvents = startJobEventConsumers({ connection: broker.connection, events, log });
  running.defer(() => jobEvents.stop());

  const reconciler = startReconciler({
    run: () =>
      reconcile({
        store,
        projection,
        ensureTopology: broker.ensureTopology,
        hasReadBuildEvents: jobEvents.hasReadAll,
        log,
      }),
    intervalMs: reconcileIntervalMs,
    log,
  });
  running.defer(() => reconciler.stop());
  broker.onReconnect(() => void reconciler.wake());
  const guard = guardAssignments({
    connection: broker.connection,
    store,
    repair: () => void reconciler.wake(),
    log,
  });
  running.defer(() => guard.stop());
  void reconciler.wake();

  // Measuring, planning, rollouts
  const measurer = createDeviceMeasurer({
    store,
    hub,
    putArtifact: projection.putArtifact,
    async putDownloadProbe() {
      const digests = await storeDownloadProbe(blobs);
      for (const digest of digests) await projection.putArtifactBlob(digest);
      return digests;
    },
    now,
  });
  const planner = createPlanner({ store, blobs });
  const measurements = createMeasurementRuns({ measurer, onEnded: () => engine.wake() });
  const engine = startRolloutEngine({
    store,
    builds,
    planner,
    measurements,
    isOnline,
    clock: now,
    newId: randomUUIDv7,
    wakeOutbox,
    log,
  });
  running.defer(async () => {
    await measurements.stop();
    await engine.stop();
  });
  running.defer(builds.onJobChanged(() => engine.wake()));
  running.defer(hub.onDeviceChanged(() => engine.wake()));

  // Telemetry
  const telemetry = new FleetTelemetry({ staleAfterMs: telemetryStaleAfterMs });
  const classes = createDeviceClasses({ store });
  running.defer(hub.onDeviceChanged(classes.deviceChanged));
  const keepMeasured = createKeepMeasured({ store, measurer, isOnline, now, log });
  running.defer(() => keepMeasured.stop());
  running.defer(hub.onDeviceChanged(keepMeasured.deviceChanged));
  const tellMachineNews = createMachineNews({ store, now, log });
  const ingest = startTelemetryIngest({
    connection: broker.connection,
    telemetry,
    classOf: classes.classOf,
    onSnapshot: (snapshot) => {
      keepMeasured.snapshotCame(snapshot);
      void tellMachineNews(snapshot);
    },
    log,
  });
  running.defer(() => ingest.stop());

  // Doors
  const serverCertificate = await authority.issueServer([advertisedHost, listenHost, "localhost", "127.0.0.1"]);
  const { certificatePem: authorityPem } = authority;
  const listening = { host: listenHost, serverCertificate };
  const limiter = createFailureLimiter({ ...enrollmentFailures, now });
  const renewal = createRenewal({ store, authority, broker: broker.identity, limiter, now });
  const enrollment = await serveEnrollment(
    enrollmentHandlers({
      enroll: createEnroll({ store, authority, broker: broker.identity, limiter, now }),
      renewal,
      endpoints: () => ({ natsUrls, sessionAddress: endpoints.sessionAddress }),
      authorityPem,
      log,
    }),
    { ...listening, port: ports.enrollment },
  );
  running.defer(() => enrollment.stop());
  const buildersSeen = async () => {
    const jobs = await listJobs(store.db, { states: ["running"] });
    const waiting = broker.isConnected() ? await broker.waitingBuilders().catch(() => null) : null;
    return waiting === null ? null : waiting + new Set(jobs.map(({ builderId }) => builderId)).size;
  };
  const revoke = createRevokeDevice({
    store,
    onRevoked(deviceId) {
      classes.deviceChanged(deviceId);
      telemetry.forget(deviceId);
    },
    disconnect: hub.disconnect,
    applyRevocations: broker.applyRevocations,
    now,
  });
  const decommission = createDecommissionDevice({ store, revoke, clearBroker: projection.clearDevice, now });
  const readmit = createReadmitDevice({ store, now });
  const operator = operatorHandlers(
    {
      ...statusMethods({
        store,
        endpoints: () => ({ ...endpoints, natsUrls }),
        onlineCount: hub.onlineCount,
        buildersSeen,
        authorityPem,
        now,
      }),
      ...diagnoseMethods({
        store,
        folder,
        authorityPem,
        serverPem: serverCertificate.certificatePem,
        isOnline,
        brokerConnected: broker.isConnected,
        buildersSeen,
        now,
      }),
      ...accountMethods({ store, authority, operatorAddress: endpoints.sessionAddress, now }),
      ...deviceMethods({ store, isOnline, measurer, builds, revoke, readmit, decommission, now }),
      ...eventMethods({ store }),
      ...logMethods({ store, hub }),
      ...importMethods({ store, blobs, folder, now }),
      ...variantMethods({ store, blobs }),
      ...profileMethods({ store, blobs, builds }),
      ...searchMethods({ store, blobs, builds }),
      ...correctionMethods({ store, now }),
      ...referenceMethods({ store, now }),
      ...planMethods({ store, builds, planner, measurer, isOnline, now }),
      ...rolloutMethods({ store, engine, planner, isOnline, now }),
    },
    createOperatorAccess({ store, now }),
    log,
  );
  const members = await serveMembers(
    { session: sessionHandlers({ hub, store, renewal, log }), operator },
    { ...listening, port: ports.session, authorityPem },
  );
  running.defer(() => members.stop());
  running.defer(() => hub.close());
  const http = await startHttpServer({
    host: listenHost,
    port: ports.http,
    handle: createRoutes({
      store,
      telemetry,
      classes,
      registry: ingest.registry,
      isOnline,
      problems: async () => (broker.isConnected() ? [] : ["the broker can't be reached"]),
      queryRange: options.prometheusUrl === null ? null : prometheusQueries(options.prometheusUrl),
      target: () => new URL(endpoints.httpUrl).host,
      now,
    }),
    log,
  });
  running.defer(() => http.stop());

  await publishFiles(folder, {
    authorityPem,
    builderCredentials: broker.identity.builderCredentials,
    context: {
      schemaVersion: 1,
      operatorAddress: endpoints.sessionAddress,
      authorityPath: within(publishedFiles.authority),
      ...operatorFiles,
    },
    endpoints: {
      schemaVersion: 1,
      pid: process.pid,
      ...endpoints,
      natsUrls,
      authorityPath: within(publishedFiles.authority),
      builderCredsPath: within(publishedFiles.builderCredentials),
    },
  });
  log.info({ folder, ...endpoints, natsUrls }, "the coordinator is ready");
}

/** Runs until a signal asks it to end. */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  const log = createLogger("coordinator", options.logLevel);
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => ask());
  await using running = new AsyncDisposableStack();
  await start(options, running, log);
  await asked;
  log.info("ending");
}

try {
  await main();
} catch (error) {
  if (!(error instanceof EspalierError)) throw error;
  process.stderr.write(`error (${error.code}): ${error.message}\n`);
  if (error.remedy !== undefined) process.stderr.write(`fix: ${error.remedy}\n`);
  process.exitCode = error.code === "options.invalid" ? 2 : 1;
}
