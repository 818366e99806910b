import assert from "node:assert/strict";
import { test } from "node:test";
import { EspalierError } from "@espalier/shared/errors";
import { readOptions } from "./options.ts";

test("defaults are settled: loopback, embedded broker, ports chosen later", () => {
  const options = readOptions(["--data", "/d"], {});
  assert.deepEqual(options, {
    dataFolder: "/d",
    listenHost: "127.0.0.1",
    advertisedHost: "localhost",
    ports: { enrollment: 0, session: 0, http: 0 },
    broker: { kind: "embedded", binary: "nats-server" },
    prometheusUrl: null,
    deviceCertificateDays: 365,
    keptDays: { events: 90, audit: 400 },
    logLevel: "info",
  });
});

test("a host that others reach is advertised as it is listened on, unless told otherwise", () => {
  assert.equal(readOptions(["--data", "/d", "--listen", "10.0.0.5"], {}).advertisedHost, "10.0.0.5");
  assert.equal(readOptions(["--data", "/d", "--listen", "0.0.0.0", "--advertise", "hub"], {}).advertisedHost, "hub");
});

test("every problem is reported at once, with what was expected", () => {
  const args = [
    "--enroll-port",
    "70000",
    "--http-port",
    "x",
    "--device-cert-days",
    "0",
    "--nats-url",
    "nats://n",
    "--prometheus-url",
    "x",
  ];
  assert.throws(
    () => readOptions([...args, "--log-level", "loud"], {}),
    (error) => {
      assert.ok(error instanceof EspalierError);
      assert.equal(error.code, "options.invalid");
      for (const part of [
        "enroll-port",
        "http-port",
        "device-cert-days",
        "--data",
        "log-level",
        "nats-account",
        "prometheus-url",
      ]) {
        assert.ok(error.message.includes(part), part);
      }
      return true;
    },
  );
});

test("an unknown option and contradictions are refused", () => {
  for (const args of [
    ["--data", "/d", "--colour", "red"],
    ["--data", "/d", "--nats-account", "A"],
    ["--data", "/d", "--nats-url", "u", "--nats-account", "A", "--nats-signing-key", "f", "--nats-server", "s"],
    ["--data", "/d", "--http-port", "81", "--enroll-port", "81"],
  ]) {
    assert.throws(() => readOptions(args, {}), /./);
  }
});
