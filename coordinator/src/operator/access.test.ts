import assert from "node:assert/strict";
import { test } from "node:test";
import { Role, roleIncludes } from "@espalier/shared/contracts/role";
import { EspalierError } from "@espalier/shared/errors";
import type { CreateOperatorResponse__Output } from "@espalier/shared/generated/espalier/v1/CreateOperatorResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { loadServices } from "@espalier/shared/grpc";
import { type requestCallback, type ServiceError, status } from "@grpc/grpc-js";
import type { OperatorMethods } from "../grpc/operator.ts";
import { startTestEndpoints, type TestEndpoints } from "../grpc/testing/test-endpoints.ts";
import { listAudit, recordAudit } from "../store/audit.ts";
import { accountMethods } from "./account-methods.ts";
import { type OperatorMethod, operatorRules } from "./rules.ts";

const methods = Object.keys(operatorRules) as OperatorMethod[];
const lowerFirst = (name: string) => `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
type Handlers = Partial<OperatorMethods>;

/** Real ports; a call ends in the handler that the test put there, else with the answer "let in". */
async function startPorts(t: Parameters<typeof startTestEndpoints>[0]) {
  const handlers: Record<string, (...args: never[]) => unknown> = {};
  const delegates = methods.map(lowerFirst).map((name) => [
    name,
    (...args: never[]) => {
      const handler = handlers[name];
      if (handler === undefined) throw new EspalierError("handler.reached", "let in");
      return handler(...args);
    },
  ]);
  const endpoints = await startTestEndpoints(t, Object.fromEntries(delegates));
  const accounts = accountMethods({ ...endpoints, operatorAddress: "here:1", now: () => endpoints.clock.nowMs });
  const serve = (served: Handlers) => Object.assign(handlers, served);
  serve({ createOperator: accounts.createOperator });
  return { ...endpoints, accounts, serve };
}

/** Calls any method of the service and tells how it ended. */
function call(client: OperatorClient, method: OperatorMethod, request: object = {}): Promise<ServiceError | null> {
  const { path, requestSerialize, responseDeserialize, requestStream, responseStream } =
    loadServices().Operator.service[method];
  const serialize = requestSerialize as (value: object) => Buffer;
  return new Promise((resolve) => {
    const done: requestCallback<unknown> = (error) => resolve(error);
    if (requestStream) {
      client.makeClientStreamRequest(path, serialize, responseDeserialize, done).end(request);
    } else if (responseStream) {
      const stream = client.makeServerStreamRequest(path, serialize, responseDeserialize, request);
      stream
        .on("error", resolve)
        .on("end", () => resolve(null))
        .resume();
    } else {
      client.makeUnaryRequest(path, serialize, responseDeserialize, request, done);
    }
  });
}

function create(client: OperatorClient, name: string, role: string, lifetimeDays = 0) {
  return new Promise<CreateOperatorResponse__Output>((resolve, reject) => {
    client.createOperator({ name, role, lifetimeDays }, (error, answer) =>
      answer === undefined ? reject(error) : resolve(answer),
    );
  });
}

async function clientOf(endpoints: TestEndpoints, name: string, role: string): Promise<OperatorClient> {
  return endpoints.clientWith(await create(await endpoints.operatorClient(), name, role));
}

test("every method lets in just the roles of the table, and a refusal names role and method", async (t) => {
  const endpoints = await startPorts(t);
  for (const role of Role.options) {
    const client = await clientOf(endpoints, `some-${role}`, role);
    for (const method of methods) {
      if (method === "CreateOperator" && role === "admin") continue;
      const error = await call(client, method);
      if (roleIncludes(role, operatorRules[method].role)) {
        assert.equal(error?.details, "let in", `${role} calling ${method}`);
      } else {
        assert.equal(error?.code, status.PERMISSION_DENIED, `${role} calling ${method}`);
        assert.equal(
          error?.details,
          `some-${role} has the role ${role}; ${method} needs ${operatorRules[method].role}`,
        );
        assert.deepEqual(error?.metadata.get("espalier-code"), ["caller.forbidden"]);
      }
    }
  }
});

test("a method that changes something is one that a viewer may not call, and the other way round", () => {
  for (const method of methods) {
    const { role, subject } = operatorRules[method];
    assert.equal(role === "viewer", subject === null, method);
  }
});

test("a revoked, an expired and a replaced certificate open nothing, a stream that is open included", async (t) => {
  const endpoints = await startPorts(t);
  const admin = await endpoints.operatorClient();
  const gate = Promise.withResolvers<void>();
  endpoints.serve({
    ...endpoints.accounts,
    async *watchRollout() {
      yield { state: null };
      await gate.promise;
      yield { state: null };
    },
  });
  const eve = endpoints.clientWith(await create(admin, "eve", "viewer"));
  const stream = eve.watchRollout({ rollout: "any" });
  const ended = new Promise<ServiceError>((resolve) => stream.on("error", resolve));
  await new Promise((resolve) => stream.once("data", resolve));

  assert.equal(await call(admin, "RevokeOperator", { name: "eve" }), null);
  assert.equal((await call(eve, "ListAudit"))?.code, status.PERMISSION_DENIED);
  gate.resolve();
  assert.equal((await ended).code, status.PERMISSION_DENIED);

  const again = endpoints.clientWith(await create(admin, "eve", "viewer"));
  assert.equal(await call(again, "ListAudit"), null);
  assert.equal((await call(eve, "ListAudit"))?.code, status.PERMISSION_DENIED);

  const guest = endpoints.clientWith(await create(admin, "guest", "viewer", 2));
  assert.equal(await call(guest, "ListAudit"), null);
  endpoints.clock.nowMs += 2 * 86_400_000;
  assert.match((await call(guest, "ListAudit"))?.details ?? "", /has ended/);
});

test("the audit log has who did what to what, how it ended, and what was denied; reads are not in it", async (t) => {
  const endpoints = await startPorts(t);
  const ada = await clientOf(endpoints, "ada", "operator");
  const vic = await clientOf(endpoints, "vic", "viewer");
  endpoints.serve({ createToken: async () => ({ token: "secret" }) });
  await call(ada, "CreateToken", { labels: { tier: "small" } });
  await call(ada, "ListDevices");
  await call(ada, "ControlRollout", { rollout: "spring", action: "ACTION_PAUSE" });
  await call(vic, "RevokeDevice", { device: "camera" });
  await call(vic, "ImportModel", { tree: { name: "smol" } });
  const entries = await listAudit(endpoints.store.db, { limit: 10 });
  const told = entries.map(({ who, action, target, outcome, detail }) => [who, action, target, outcome, detail]);
  assert.deepEqual(told.reverse(), [
    ["admin", "CreateOperator", "ada as operator", "allowed", ""],
    ["admin", "CreateOperator", "vic as viewer", "allowed", ""],
    ["ada", "CreateToken", "tier=small", "allowed", ""],
    ["ada", "ControlRollout", "spring pause", "failed", "let in"],
    ["vic", "RevokeDevice", "camera", "denied", "vic has the role viewer; RevokeDevice needs operator"],
    ["vic", "ImportModel", "", "denied", "vic has the role viewer; ImportModel needs operator"],
  ]);
  assert.ok(!JSON.stringify(entries).includes("secret"));
});

test("a call is in the audit log before it does anything, so that a crash leaves its trace", async (t) => {
  const endpoints = await startPorts(t);
  const admin = await endpoints.operatorClient();
  let during: unknown;
  endpoints.serve({
    async importModel(messages) {
      for await (const _message of messages) during = (await listAudit(endpoints.store.db, { limit: 1 }))[0];
      return { digest: "" };
    },
  });
  assert.equal(await call(admin, "ImportModel", { tree: { name: "smol" } }), null);
  const { atMs: _at, ...entry } = during as Record<string, unknown>;
  assert.deepEqual(entry, { who: "admin", action: "ImportModel", target: "smol", outcome: "begun", detail: "" });
});

test("who is denied over and over is recorded a hundred times a minute, and refused each time", async (t) => {
  const endpoints = await startPorts(t);
  const vic = await clientOf(endpoints, "vic", "viewer");
  for (let n = 0; n < 120; n++) assert.equal((await call(vic, "CreateToken"))?.code, status.PERMISSION_DENIED);
  const recorded = async () => (await listAudit(endpoints.store.db, { limit: 1_000, who: "vic" })).length;
  assert.equal(await recorded(), 100);
  endpoints.clock.nowMs += 60_001;
  await call(vic, "CreateToken");
  assert.equal(await recorded(), 101);
});

test("an entry is found by time and by who it was", async (t) => {
  const { store } = await startPorts(t);
  const entry = { action: "CreateToken", target: "", outcome: "allowed", detail: "" } as const;
  for (const [atMs, who] of [
    [2, "bob"],
    [3, "ada"],
    [1, "ada"],
  ] as const) {
    await recordAudit(store.db, { ...entry, atMs, who });
  }
  assert.deepEqual(
    (await listAudit(store.db, { limit: 10, sinceMs: 2 })).map(({ atMs }) => atMs),
    [3, 2],
  );
  assert.deepEqual(
    (await listAudit(store.db, { limit: 10, who: "ada" })).map(({ atMs }) => atMs),
    [3, 1],
  );
});

test("what is no operator is refused with every reason, and the built-in one can't be shut out", async (t) => {
  const endpoints = await startPorts(t);
  endpoints.serve(endpoints.accounts);
  const admin = await endpoints.operatorClient();
  const wrong = await call(admin, "CreateOperator", { name: "Eve!", role: "queen", lifetimeDays: 9_999 });
  assert.equal(wrong?.code, status.INVALID_ARGUMENT);
  for (const part of ["name:", "role:", "lifetime:"]) assert.ok(wrong?.details.includes(part), wrong?.details);
  await create(admin, "eve", "viewer");
  assert.equal((await call(admin, "CreateOperator", { name: "eve", role: "admin" }))?.code, status.ALREADY_EXISTS);
  assert.equal((await call(admin, "RevokeOperator", { name: "admin" }))?.code, status.INVALID_ARGUMENT);
  assert.equal((await call(admin, "RevokeOperator", { name: "nobody" }))?.code, status.NOT_FOUND);
});
