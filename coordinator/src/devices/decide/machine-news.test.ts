import assert from "node:assert/strict";
import { test } from "node:test";
import type { MachineState } from "@espalier/shared/contracts/telemetry";
import { type KnownMachine, machineNews } from "./machine-news.ts";

const well: MachineState = { powerSource: "mains", thermalCelsius: 50, throttled: false, throttles: 3 };

/** Kinds of news of each state in turn, a minute apart. */
function kinds(states: readonly Partial<MachineState>[], stepMs = 60_000): string[][] {
  let known: KnownMachine | null = null;
  return states.map((state, step) => {
    const told = machineNews(known, { ...well, ...state }, step * stepMs);
    known = told.known;
    return told.news.map(({ kind }) => kind);
  });
}

test("a device that goes on battery and comes back says so once each", () => {
  const states = [{}, { powerSource: "battery" }, { powerSource: "battery" }, {}, {}] as const;
  assert.deepEqual(kinds(states), [[], ["device.on-battery"], [], ["device.on-mains"], []]);
  assert.deepEqual(kinds([{ powerSource: "battery" }]), [["device.on-battery"]]);
});

test("throttling is told by the kernel's level or its counter, and at most once an hour", () => {
  assert.deepEqual(kinds([{}, { throttled: true }, { throttled: true }]), [[], ["device.throttled"], []]);
  assert.deepEqual(kinds([{}, { throttles: 4 }, { throttles: 9 }]), [[], ["device.throttled"], []]);
  const hourly = kinds([{ throttled: true }, { throttled: true }], 3_600_000);
  assert.deepEqual(hourly, [["device.throttled"], ["device.throttled"]]);
  const { news } = machineNews(null, { ...well, throttled: true, thermalCelsius: 91.4 }, 0);
  assert.match(news[0]?.message ?? "", /slowed down to stay cool at 91 °C/);
});

test("a machine that started anew, or can't tell, is no news", () => {
  const unknown = { powerSource: "unknown", thermalCelsius: null, throttled: null, throttles: null } as const;
  assert.deepEqual(kinds([{ throttles: 900 }, { throttles: 0 }, unknown, unknown]), [[], [], [], []]);
});
