import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { WorkerClient } from "./worker-client.ts";
import type { WorkerSetup } from "./worker-protocol.ts";

const call = { method: "topTokens", tokens: [1] } as const;

describe("WorkerClient", () => {
  it("rejects pending and later calls when the worker dies", async () => {
    const dying = new Worker(`require("node:worker_threads").parentPort.on("message", () => process.exit(3))`, {
      eval: true,
    });
    const client = new WorkerClient(dying);
    await assert.rejects(
      client.call(call, undefined, () => {}),
      { code: "runtime.crashed", message: /exit code 3/ },
    );
    await assert.rejects(
      client.call(call, undefined, () => {}),
      { code: "runtime.crashed" },
    );
    assert.equal(await client.close(), false);
  });

  it("keeps the reason of a worker that throws", async () => {
    const throwing = new Worker(
      `require("node:worker_threads").parentPort.on("message", () => { throw new Error("out of luck"); })`,
      { eval: true },
    );
    const client = new WorkerClient(throwing);
    await assert.rejects(
      client.call(call, undefined, () => {}),
      { code: "runtime.crashed", message: /out of luck/ },
    );
  });

  it("fails one call with what the worker reports and goes on", async () => {
    const failing = new Worker(
      `const { parentPort } = require("node:worker_threads");
       parentPort.on("message", (message) => {
         if (message.kind === "unload") parentPort.postMessage({ kind: "unloaded" });
         else parentPort.postMessage({ kind: "failed", id: message.id, code: null, message: "no memory" });
       });`,
      { eval: true },
    );
    const client = new WorkerClient(failing);
    for (let i = 0; i < 2; i += 1) {
      const expected = { code: "runtime.run-failed", message: "no memory" };
      await assert.rejects(
        client.call(call, undefined, () => {}),
        expected,
      );
    }
    assert.equal(await client.close(), true);
    await failing.terminate();
  });

  // A stand-in: the real worker can't be made to hang.
  const hang = (t: TestContext): Worker => {
    const worker = new Worker(`require("node:worker_threads").parentPort.on("message", () => {})`, { eval: true });
    t.after(() => worker.terminate());
    return worker;
  };

  it("loses a worker that hangs with a call, and says so", async (t) => {
    const client = new WorkerClient(hang(t), { patienceMs: 1 });
    await assert.rejects(
      client.call(call, undefined, () => {}),
      { code: "runtime.crashed", message: /hangs/ },
    );
    assert.equal((await client.crashed).code, "runtime.crashed");
    assert.equal(await client.close(), false);
  });

  it("loses a worker that hangs while it loads or is to let the model go", async (t) => {
    for (const act of ["load", "close"] as const) {
      const client = new WorkerClient(hang(t), { patienceMs: 1 });
      if (act === "load") await assert.rejects(client.load({} as WorkerSetup, undefined), { code: "runtime.crashed" });
      assert.equal(await client.close(), false);
    }
  });
});
