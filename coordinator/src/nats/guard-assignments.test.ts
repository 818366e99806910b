import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { assignmentSubject } from "@espalier/shared/device-permissions";
import { createLogger } from "@espalier/shared/logging";
import { jetstream } from "@nats-io/jetstream";
import { createUser } from "@nats-io/nkeys";
import { openBlobStore } from "../blobs/blob-store.ts";
import { assignDevice } from "../store/assignments.ts";
import { insertDevice } from "../store/device-changes.ts";
import { openSqliteStore } from "../store/open.ts";
import { connectBroker } from "./connection.ts";
import { guardAssignments } from "./guard-assignments.ts";
import { createProjection } from "./projection.ts";
import { startTestBroker } from "./testing/test-broker.ts";
import { ensureTopology } from "./topology.ts";

test("a device that has the broker answer into another's assignment is noticed, and the assignment is put right", async (t) => {
  const { connection, folder, identity, server } = await startTestBroker(t);
  const log = createLogger("test", "silent");
  const topology = await ensureTopology(connection);
  const store = await openSqliteStore(join(folder, "store.db"));
  t.after(() => store.close());
  const blobs = await openBlobStore(join(folder, "blobs"));
  const projection = createProjection({ topology: () => topology, client: jetstream(connection), blobs });
  const assignments = await store.inTransaction(async (transaction) => {
    const decided = [];
    for (const id of ["dev-a", "dev-b"]) {
      const device = { id, wantedName: id, labels: {}, certificateSerial: id, natsPublicKey: id, createdAtMs: 1 };
      await insertDevice(transaction, device);
      decided.push(await assignDevice(transaction, { deviceId: id, variant: null, rolloutId: null, nowMs: 1 }));
    }
    return decided;
  });
  const { promise: noticed, resolve: notice } = Promise.withResolvers<void>();
  const guard = guardAssignments({ connection, store, repair: notice, log });
  t.after(() => guard.stop());
  for (const assignment of assignments) await projection.putAssignment(assignment);

  const pair = createUser();
  const jwt = identity.deviceJwt("dev-a", pair.getPublicKey());
  const user = { jwt, seed: new TextDecoder().decode(pair.getSeed()) };
  const attacker = await connectBroker({ servers: [server.url], user, name: "dev-a" });
  t.after(() => attacker.close());
  const own = `$JS.API.DIRECT.GET.KV_assignments.${assignmentSubject("dev-a")}`;
  attacker.publish(own, "", { reply: assignmentSubject("dev-b") });

  await noticed;
  const covered = await topology.assignments.get("dev-b");
  assert.equal(covered?.json<{ deviceId: string }>().deviceId, "dev-a", "the broker wrote it: the guard is needed");
  assert.equal(await projection.repairAssignment(assignments[1]!), true);
  assert.deepEqual((await topology.assignments.get("dev-b"))?.json(), assignments[1]);
});
