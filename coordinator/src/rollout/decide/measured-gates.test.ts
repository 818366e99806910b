import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import type { Proof } from "@espalier/shared/contracts/proof";
import type { RolloutDevice, Verdict } from "@espalier/shared/contracts/rollout-state";
import { failuresGate } from "./failures-gate.ts";
import {
  energyObjectiveGate,
  latencyObjectiveGate,
  latencyPredictionGate,
  memoryObjectiveGate,
  type Observed,
  probeGate,
} from "./measured-gates.ts";
import { worstVerdict } from "./verdict.ts";

const spec = {
  promptTokens: 64,
  outputTokens: 24,
  gates: {
    maxFailureShare: 0,
    maxStepDownShare: 0.5,
    maxPredictionError: 0.5,
    latencyMargin: 0,
    minProbeAgreement: 0.9,
    deviceDeadlineSeconds: 60,
  },
};

function proof({
  tpotMs = 20,
  ttftMs = 200,
  memory = 300,
  agreement = 0.98 as number | null,
  promptTokens = 64,
  requests = 10,
  pauses = 0,
  joules = null as number | null,
} = {}): Proof {
  const each = (ms: number) => Array.from({ length: requests }, (_, index) => (index < pauses ? 50 * ms : ms));
  const sample = (median: number) => ({ median, p90: median * 1.1, relativeSpread: 0.05, repetitions: 5 });
  return {
    schemaVersion: 1,
    firstLogitsCosine: 1,
    agreementWithBuilder: agreement,
    agreementWithDense: 0.9,
    positions: 100,
    timing: {
      artifactDigest: digestOfJson("a"),
      promptTokens,
      outputTokens: 24,
      ttftMs: sample(ttftMs),
      tpotMs: sample(tpotMs),
      ttftEachMs: each(ttftMs),
      tpotEachMs: each(tpotMs),
      peakMemoryBytes: memory,
      joulesPerToken: joules,
      loadMs: 1,
    },
  };
}

const prediction = {
  tpotMs: { value: 20, relativeUncertainty: 0.1, p90Excess: 0 },
  ttftMs: { value: 200, relativeUncertainty: 0.1, p90Excess: 0 },
  peakMemoryBytes: { value: 300, relativeUncertainty: 0.1 },
  diskBytes: { value: 1, relativeUncertainty: 0.1 },
  downloadSeconds: null,
  joulesPerToken: null,
  loadMs: null,
};
const observed = (limits: Observed["limits"], given: Proof | null): Observed => ({
  name: "d",
  limits,
  prediction,
  proof: given,
});

describe("latency against the objective", () => {
  const rows: [string, Observed[], Verdict][] = [
    ["passes when ten requests keep the limit", [observed({ tpotP90Ms: 20 }, proof())], "pass"],
    ["fails when five requests are above it", [observed({ tpotP90Ms: 19 }, proof({ requests: 5 }))], "fail"],
    ["fails on the time to first token alone", [observed({ ttftP90Ms: 190 }, proof())], "fail"],
    [
      "forgives one pause of the machine in fifteen requests",
      [observed({ tpotP90Ms: 20 }, proof({ requests: 15, pauses: 1 }))],
      "pass",
    ],
    [
      "is inconclusive while requests don't tell",
      [observed({ tpotP90Ms: 20 }, proof({ requests: 12, pauses: 3 }))],
      "inconclusive",
    ],
    [
      "is inconclusive of requests that nobody kept",
      [observed({ tpotP90Ms: 30 }, proof({ requests: 0 }))],
      "inconclusive",
    ],
    [
      "fails by the worst device",
      [observed({ tpotP90Ms: 30 }, proof()), observed({ tpotP90Ms: 30 }, proof({ tpotMs: 40 }))],
      "fail",
    ],
    ["passes where no limit is set", [observed({}, null)], "pass"],
    ["is inconclusive without a timing", [observed({ tpotP90Ms: 30 }, null)], "inconclusive"],
    [
      "is inconclusive when other lengths were timed",
      [observed({ tpotP90Ms: 30 }, proof({ promptTokens: 16 }))],
      "inconclusive",
    ],
  ];
  for (const [name, devices, verdict] of rows) {
    test(name, () => assert.equal(latencyObjectiveGate("class", devices, spec).verdict, verdict));
  }

  test("a margin allows as much above the limit, and no more", () => {
    const lenient = { ...spec, gates: { ...spec.gates, latencyMargin: 0.1 } };
    const verdictOf = (tpotMs: number) =>
      latencyObjectiveGate("class", [observed({ tpotP90Ms: 20 }, proof({ tpotMs }))], lenient).verdict;
    assert.deepEqual([verdictOf(21.9), verdictOf(22.1)], ["pass", "fail"]);
  });

  test("it says how many requests were above which limit, and on which device", () => {
    const gate = latencyObjectiveGate(
      "class",
      [observed({ tpotP90Ms: 20 }, proof({ requests: 15, pauses: 1 })), observed({ tpotP90Ms: 30 }, proof())],
      spec,
    );
    assert.deepEqual([gate.allowed, gate.evidence], [20, 25]);
    assert.equal(gate.message, "d: time per output token above 20.0 ms in 1 of 15 requests");
  });
});

describe("latency against the prediction", () => {
  const rows: [string, Proof | null, Verdict][] = [
    ["passes near the prediction", proof({ tpotMs: 28 }), "pass"],
    ["is inconclusive when much slower", proof({ tpotMs: 31 }), "inconclusive"],
    ["is inconclusive when much faster", proof({ tpotMs: 9 }), "inconclusive"],
    ["is inconclusive without a timing", null, "inconclusive"],
  ];
  for (const [name, given, verdict] of rows) {
    test(name, () => assert.equal(latencyPredictionGate("class", [observed({}, given)], spec).verdict, verdict));
  }
  test("a prediction that claims little is not contradicted within its own uncertainty", () => {
    const vague = { ...prediction, tpotMs: { value: 20, relativeUncertainty: 2, p90Excess: 0 } };
    const gate = (tpotMs: number) =>
      latencyPredictionGate("class", [{ ...observed({}, proof({ tpotMs })), prediction: vague }], spec);
    assert.deepEqual([gate(55).verdict, gate(55).allowed], ["pass", 2]);
    assert.equal(gate(65).verdict, "inconclusive");
  });
  test("a tenth of a millisecond contradicts no prediction", () => {
    const quick = { ...prediction, tpotMs: { value: 0.2, relativeUncertainty: 0.1, p90Excess: 0 } };
    const verdictOf = (tpotMs: number) =>
      latencyPredictionGate("class", [{ ...observed({}, proof({ tpotMs })), prediction: quick }], spec).verdict;
    assert.deepEqual([verdictOf(0.4), verdictOf(0.5)], ["pass", "inconclusive"]);
  });
  test("stores the worst error with its values", () => {
    const gate = latencyPredictionGate("class", [observed({}, proof()), observed({}, proof({ tpotMs: 25 }))], spec);
    assert.deepEqual([gate.measured, gate.allowed, gate.evidence], [0.25, 0.5, 2]);
    assert.match(gate.message, /25.0 ms per output token, predicted 20.0 ms/);
  });
});

test("a device that stepped down runs what was not predicted, which contradicts no prediction", () => {
  const lower = { ...observed({}, proof({ tpotMs: 90 })), prediction: null };
  assert.equal(latencyPredictionGate("class", [lower], spec).verdict, "pass");
  assert.equal(latencyPredictionGate("class", [lower, observed({}, proof())], spec).verdict, "pass");
});

describe("memory and probe", () => {
  test("memory over the limit fails, at the limit passes", () => {
    assert.equal(memoryObjectiveGate("c", [observed({ peakMemoryBytes: 299 }, proof())]).verdict, "fail");
    assert.equal(memoryObjectiveGate("c", [observed({ peakMemoryBytes: 300 }, proof())]).verdict, "pass");
    assert.equal(memoryObjectiveGate("c", [observed({ peakMemoryBytes: 300 }, null)]).verdict, "inconclusive");
  });
  test("energy over the limit on any device that has a counter fails", () => {
    const gate = (...joules: (number | null)[]) =>
      energyObjectiveGate(
        "c",
        joules.map((each) => observed({ joulesPerToken: 0.5 }, proof({ joules: each }))),
      );
    assert.equal(gate(0.4, null, 0.6).verdict, "fail");
    assert.deepEqual([gate(0.4, null, 0.6).measured, gate(0.4, null, 0.6).evidence], [0.6, 2]);
    assert.equal(gate(0.4, 0.5).verdict, "pass");
  });
  test("without an energy counter a limit on energy holds nothing up, and the gate says so", () => {
    const { verdict, message } = energyObjectiveGate("c", [observed({ joulesPerToken: 0.5 }, proof())]);
    assert.deepEqual([verdict, message], ["pass", "a limit is set, but no device has a readable energy counter"]);
  });
  test("agreement under the floor on any device fails, none measured is inconclusive", () => {
    assert.equal(
      probeGate("c", [observed({}, proof()), observed({}, proof({ agreement: 0.89 }))], 0.9).verdict,
      "fail",
    );
    assert.equal(probeGate("c", [observed({}, proof({ agreement: 0.9 }))], 0.9).verdict, "pass");
    assert.equal(probeGate("c", [observed({}, proof({ agreement: null }))], 0.9).verdict, "inconclusive");
  });
});

describe("failures", () => {
  const device = (phase: RolloutDevice["phase"]): RolloutDevice => ({
    deviceId: "d",
    name: "d",
    wave: 0,
    phase,
    artifactDigest: null,
    rung: 0,
    previousArtifactDigest: null,
    assignedAtMs: 0,
    progress: "",
    reason: "the probe set failed",
    proof: null,
  });
  const rows: [string, RolloutDevice["phase"][], number, Verdict][] = [
    ["pass at exactly the allowed share", ["failed", "active", "active", "active"], 0.25, "pass"],
    ["fail beyond it", ["failed", "failed", "active", "active"], 0.25, "fail"],
    ["fail with one failure where none is allowed", ["failed", "active"], 0, "fail"],
    ["are inconclusive when every device is offline", ["offline", "offline"], 0, "inconclusive"],
    ["don't count an offline device as failed", ["offline", "active"], 0, "pass"],
  ];
  const allowing = (maxFailureShare: number, maxStepDownShare = 0.5) => ({ maxFailureShare, maxStepDownShare });
  for (const [name, phases, share, verdict] of rows) {
    test(name, () => assert.equal(failuresGate(phases.map(device), allowing(share)).verdict, verdict));
  }
  test("are inconclusive when most devices came through only on a smaller variant, which is no failure of theirs", () => {
    const lower = { ...device("active"), rung: 1, reason: "stepped down" };
    assert.equal(failuresGate([lower, device("active")], allowing(0)).verdict, "pass");
    const gate = failuresGate([lower, lower, device("active")], allowing(0));
    assert.deepEqual([gate.verdict, gate.allowed], ["inconclusive", 0.5]);
    assert.match(gate.message, /0 of 3 devices failed, 2 stepped down, first d stepped down/);
    assert.equal(failuresGate([lower], allowing(0, 1)).verdict, "pass");
  });
});

test("the worst verdict wins, and a known failure outranks an error", () => {
  const of = (...verdicts: Verdict[]) => worstVerdict(verdicts.map((verdict) => ({ verdict })));
  assert.equal(of(), "pass");
  assert.equal(of("pass", "inconclusive"), "inconclusive");
  assert.equal(of("inconclusive", "error", "pass"), "error");
  assert.equal(of("error", "fail", "inconclusive"), "fail");
});
