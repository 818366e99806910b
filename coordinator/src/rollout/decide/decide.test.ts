import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import type { Plan, PlannedVariant } from "@espalier/shared/contracts/plan";
import { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import type { RolloutDevice, RolloutPhase, RolloutState } from "@espalier/shared/contracts/rollout-state";
import { hasCode } from "@espalier/shared/errors";
import { control } from "./control.ts";
import { decide } from "./decide.ts";
import type { BuildFact, DeviceFact, JobFact, RolloutFacts } from "./facts.ts";
import type { BuildRow } from "./step.ts";
import { chooseCanaries, nameWaves } from "./waves.ts";

const artifact = digestOfJson("artifact");
const recipe = digestOfJson("recipe");
const job = (state: JobFact["state"], message = ""): JobFact => ({ state, stage: "", fraction: 0, message });

function deviceFact(change: Partial<DeviceFact> = {}): DeviceFact {
  return {
    deviceId: "a",
    name: "a",
    online: true,
    measured: true,
    measurement: { state: "idle", message: "" },
    activeArtifactDigest: null,
    assignment: { rolloutId: "r", generation: { epoch: 1, n: 3 }, artifactDigest: artifact },
    report: {
      state: "new",
      reason: "",
      generation: { epoch: 0, n: 0 },
      artifactDigest: null,
      downloadedBytes: 0,
      totalBytes: 0,
      proof: null,
    },
    ...change,
  };
}

const reported = (state: DeviceFact["report"]["state"], n = 3): DeviceFact =>
  deviceFact({
    report: { ...deviceFact().report, state, generation: { epoch: 1, n }, artifactDigest: artifact, reason: "why" },
  });

function facts(change: Partial<RolloutFacts> = {}): RolloutFacts {
  return {
    connectGraceEndsAtMs: 0,
    kit: job("succeeded"),
    sensitivity: job("succeeded"),
    devices: [deviceFact()],
    builds: new Map(),
    ...change,
  };
}

function rolloutDevice(change: Partial<RolloutDevice> = {}): RolloutDevice {
  return {
    deviceId: "a",
    name: "a",
    wave: 0,
    phase: "assigned",
    artifactDigest: artifact,
    rung: 0,
    previousArtifactDigest: null,
    assignedAtMs: 0,
    progress: "",
    reason: "",
    proof: null,
    ...change,
  };
}

const variant = (qualitySource: PlannedVariant["qualitySource"]): PlannedVariant => ({
  recipe: { schemaVersion: 1, pruning: { method: "none" }, quantization: { method: "none" } },
  recipeDigest: recipe,
  name: "dense-fp32",
  quality: { perplexity: 1, bitsPerByte: 1, agreement: 1, kl: 0, klHalfWidth: 0 },
  qualitySource,
  artifactDigest: qualitySource === "report" ? artifact : null,
  weightBytes: 1,
  devices: 1,
});

function planOf(variants: PlannedVariant[], fallbacks: Plan["fallbacks"] = []): Plan {
  return {
    schemaVersion: 1,
    modelDigest: artifact,
    modelName: "m",
    checkIndex: "",
    variants,
    fallbacks,
    devices: [],
    corrections: [],
    alternatives: [],
    cost: null,
    frontier: [...variants, ...fallbacks],
    notes: [],
  };
}

function state(phase: RolloutPhase, change: Partial<RolloutState> = {}): RolloutState {
  return {
    schemaVersion: 1,
    rolloutId: "r",
    spec: RolloutSpec.parse({ name: "r", model: "m" }),
    phase,
    reason: "",
    createdAtMs: 0,
    updatedAtMs: 0,
    plan: null,
    builds: [],
    waves: [],
    devices: [],
    ...change,
  };
}

const actionsOf = (...args: Parameters<typeof decide>) => decide(...args).map(({ action }) => action);

describe("planning", () => {
  const unmeasured = deviceFact({ measured: false });
  const rows: [string, Partial<RolloutFacts>, number, string[]][] = [
    ["asks for the kit first", { kit: job("missing"), sensitivity: job("missing") }, 0, ["request-kit"]],
    ["waits for the kit", { kit: job("running"), devices: [unmeasured] }, 0, ["enter"]],
    [
      "measures before the sensitivity job would disturb",
      { devices: [unmeasured], sensitivity: job("missing") },
      0,
      ["measure"],
    ],
    [
      "waits while devices measure",
      { devices: [{ ...unmeasured, measurement: { state: "running", message: "" } }] },
      0,
      ["enter"],
    ],
    [
      "goes on without a device whose measurement failed",
      { devices: [{ ...unmeasured, measurement: { state: "failed", message: "" } }] },
      0,
      ["make-plan"],
    ],
    [
      "waits a moment for a device that may be about to connect",
      { devices: [{ ...unmeasured, online: false }], connectGraceEndsAtMs: 10_000 },
      9_999,
      ["enter"],
    ],
    ["goes on without an offline device", { devices: [{ ...unmeasured, online: false }] }, 0, ["make-plan"]],
    ["goes on without a device that measures beyond the deadline", { devices: [unmeasured] }, 900_001, ["make-plan"]],
    ["asks for the sensitivity job", { sensitivity: job("missing") }, 0, ["request-sensitivity"]],
    ["plans when all is known", {}, 0, ["make-plan"]],
    ["fails with the job's reason", { sensitivity: job("dead", "out of memory") }, 0, ["enter"]],
  ];
  for (const [name, given, nowMs, expected] of rows) {
    test(name, () => assert.deepEqual(actionsOf(state("planning"), facts(given), nowMs), expected));
  }
  test("says once what it waits for", () => {
    const running = { ...unmeasured, measurement: { state: "running", message: "" } } as const;
    const devices = ["pi", "box", "cam", "kiosk"].map((name) => ({ ...running, name }));
    const reason = "measuring pi, box, cam and 1 more";
    const told = decide(state("planning"), facts({ devices }), 0);
    assert.deepEqual(told, [{ action: "enter", phase: "planning", reason }]);
    assert.deepEqual(decide(state("planning", { reason }), facts({ devices }), 0), []);
  });
});

describe("building", () => {
  const row = {
    recipeDigest: recipe,
    variantName: "dense-fp32",
    jobId: null,
    state: "pending",
    stage: "",
    fraction: 0,
    artifactDigest: null,
    message: "",
  } as const;
  const built: BuildFact = {
    ...job("succeeded"),
    jobId: recipe,
    recipeDigest: recipe,
    artifactDigest: artifact,
    report: null,
  };
  const done = { ...row, jobId: recipe, state: "succeeded", fraction: 1, artifactDigest: artifact } as const;
  const withBuild = (fact: BuildFact) => facts({ builds: new Map([[recipe, fact]]) });
  const planned = planOf([variant("sensitivity")]);
  const rows: [string, Partial<RolloutState>, RolloutFacts, string[]][] = [
    ["asks for what is missing", { plan: planned, builds: [row] }, facts(), ["request-builds"]],
    [
      "records progress",
      { plan: planned, builds: [row] },
      withBuild({ ...built, ...job("running"), artifactDigest: null }),
      ["record-builds"],
    ],
    [
      "plans again with the real quality before any device is told",
      { plan: planned, builds: [done] },
      withBuild(built),
      ["make-plan"],
    ],
    [
      "rolls when the plan stands on reports",
      { plan: planOf([variant("report")]), builds: [done] },
      withBuild(built),
      ["enter"],
    ],
    ["fails when nothing fits", { plan: planOf([]) }, facts(), ["enter"]],
  ];
  for (const [name, change, given, expected] of rows) {
    test(name, () => assert.deepEqual(actionsOf(state("building", change), given, 0), expected));
  }
  test("fails with the reason of a dead build", () => {
    const dead = { ...row, jobId: recipe, state: "dead", message: "NaN" } as const;
    const [step] = decide(
      state("building", { plan: planned, builds: [dead] }),
      withBuild({ ...built, ...job("dead", "NaN"), artifactDigest: null }),
      0,
    );
    assert.deepEqual(step, { action: "enter", phase: "failed", reason: "building dense-fp32 failed: NaN" });
  });
  describe("of a fallback", () => {
    const smaller = digestOfJson("smaller");
    const fallback = { ...variant("sensitivity"), recipeDigest: smaller, name: "smaller", neededBy: 1, text: "" };
    const plan = planOf([variant("report")], [fallback]);
    const rowOf = (state: BuildRow["state"]): BuildRow => ({
      ...row,
      recipeDigest: smaller,
      variantName: "smaller",
      state,
      jobId: state === "pending" ? null : smaller,
    });
    const stepFor = (fact: JobFact["state"], state: BuildRow["state"]) => {
      const fallbackFact = { ...built, ...job(fact), recipeDigest: smaller, jobId: smaller, artifactDigest: null };
      const builds = new Map([[recipe, built], ...(fact === "missing" ? [] : [[smaller, fallbackFact] as const])]);
      return decide(stateWith(plan, [done, rowOf(state)]), facts({ builds }), 0);
    };
    const stateWith = (plan: Plan, builds: BuildRow[]) => state("building", { plan, builds });

    test("is asked for beside the variants", () =>
      assert.deepEqual(stepFor("missing", "pending"), [{ action: "request-builds", recipeDigests: [smaller] }]));
    test("is waited for", () => assert.deepEqual(stepFor("running", "running"), []));
    test("that died holds up nothing: the plan is made again without it", () =>
      assert.deepEqual(stepFor("dead", "dead"), [{ action: "make-plan", scope: "built-first" }]));
  });
});

describe("rolling", () => {
  const running: RolloutState["waves"] = [
    { index: 0, name: "canary", state: "running", gates: [] },
    { index: 1, name: "rest", state: "waiting", gates: [] },
  ];
  const rolling = (devices: RolloutDevice[], waves = running) => state("rolling", { devices, waves, plan: planOf([]) });
  const stepFor = (device: RolloutDevice, fact: DeviceFact | null, nowMs = 1000) =>
    decide(rolling([device]), facts({ devices: fact === null ? [] : [fact] }), nowMs)[0];
  const phaseFor = (...args: Parameters<typeof stepFor>) => {
    const step = stepFor(...args);
    return step !== undefined && "devices" in step ? step.devices[0]?.phase : step?.action;
  };

  test("assigns a wave only when the one before passed", () => {
    const waiting = running.map((wave) => ({ ...wave, state: "waiting" as const }));
    assert.deepEqual(decide(rolling([], waiting), facts(), 0), [{ action: "assign-wave", index: 0 }]);
    const passed = running.map((wave, index) => (index === 0 ? { ...wave, state: "passed" as const } : wave));
    assert.deepEqual(decide(rolling([], passed), facts(), 0), [{ action: "assign-wave", index: 1 }]);
  });
  test("completes when every wave passed", () => {
    assert.deepEqual(actionsOf(rolling([], [{ index: 0, name: "all", state: "passed", gates: [] }]), facts(), 0), [
      "enter",
    ]);
  });
  test("follows a device by reports of its own assignment only", () => {
    assert.equal(phaseFor(rolloutDevice(), reported("proving")), "working");
    assert.equal(phaseFor(rolloutDevice(), reported("active")), "active");
    assert.equal(phaseFor(rolloutDevice(), reported("active", 2)), undefined);
  });
  test("a device that failed is assigned its previous variant at once", () => {
    const step = stepFor(rolloutDevice({ previousArtifactDigest: recipe }), reported("failed"));
    assert.deepEqual([step?.action, phaseFor(rolloutDevice(), reported("failed"))], ["revert", "failed"]);
  });
  describe("a device with a ladder", () => {
    const smaller = { ...variant("report"), recipeDigest: digestOfJson("smaller"), artifactDigest: digestOfJson("s") };
    const unbuilt = { ...variant("sensitivity"), recipeDigest: digestOfJson("unbuilt") };
    const rung = ({ recipeDigest }: PlannedVariant, variantName: string) => ({
      recipeDigest,
      variantName,
      tpotP90Ms: 1,
      peakMemoryBytes: 1,
    });
    const plan: Plan = {
      ...planOf([smaller, unbuilt]),
      devices: [
        {
          deviceId: "a",
          name: "a",
          deviceClass: "x",
          hardwareClass: "x",
          limits: {},
          choice: null,
          reason: "",
          active: null,
          downloadBytes: 0,
          ladder: [rung(unbuilt, "unbuilt"), rung(smaller, "smaller")],
          ruledOut: [],
        },
      ],
    };
    const stepsOf = (device: RolloutDevice, fact: DeviceFact) =>
      decide({ ...rolling([device]), plan }, facts({ devices: [fact] }), 1000);

    test("is assigned the next one that is built when its variant fails, with the reason", () => {
      const [step] = stepsOf(rolloutDevice(), reported("failed"));
      assert.ok(step?.action === "step-down");
      const [after] = step.devices;
      assert.deepEqual([after?.phase, after?.rung, after?.artifactDigest], ["assigned", 2, smaller.artifactDigest]);
      assert.equal(after?.reason, "stepped down to smaller, since the variant before failed: why");
      assert.equal(after?.assignedAtMs, 1000, "with a deadline of its own");
    });
    test("never goes beyond its end: what fails there goes back", () => {
      const [step] = stepsOf(rolloutDevice({ rung: 2 }), reported("failed"));
      assert.equal(step?.action, "revert");
    });
    test("keeps the reason when it proves itself on a lower rung", () => {
      const [step] = stepsOf(rolloutDevice({ rung: 2, reason: "stepped down" }), reported("active"));
      assert.ok(step?.action === "record-devices");
      assert.deepEqual([step.devices[0]?.phase, step.devices[0]?.reason], ["active", "stepped down"]);
    });
    test("that only went offline is not stepped down", () => {
      assert.deepEqual(
        stepsOf(rolloutDevice(), deviceFact()).map(({ action }) => action),
        [],
      );
    });
  });
  test("a device past its deadline, or no longer enrolled, is offline and frees its slot", () => {
    assert.equal(phaseFor(rolloutDevice(), reported("downloading"), 900_001), "offline");
    assert.equal(phaseFor(rolloutDevice(), null), "offline");
  });
  test("a report that came in time counts even when it is read after the deadline", () => {
    assert.equal(phaseFor(rolloutDevice(), reported("active"), 900_001), "active");
  });
  test("a device that another rollout took over is left to it", () => {
    const taken = deviceFact({
      assignment: { rolloutId: "other", generation: { epoch: 1, n: 4 }, artifactDigest: recipe },
    });
    assert.equal(phaseFor(rolloutDevice(), taken), "skipped");
  });
  test("halts inside the wave as soon as too many failed, without waiting for the others", () => {
    const devices = [rolloutDevice({ phase: "failed" }), rolloutDevice({ deviceId: "b" })];
    const given = facts({ devices: [deviceFact(), deviceFact({ deviceId: "b" })] });
    const [step] = decide(rolling(devices), given, 1000);
    assert.ok(step?.action === "judge-wave" && step.state === "failed");
  });
  test("a failed wave sends its devices back and touches no other wave", () => {
    const failed = running.map((wave, index) => (index === 0 ? { ...wave, state: "failed" as const } : wave));
    const devices = [
      rolloutDevice({ phase: "active" }),
      rolloutDevice({ deviceId: "b" }),
      rolloutDevice({ deviceId: "c", phase: "failed" }),
      rolloutDevice({ deviceId: "d", wave: 1, phase: "pending" }),
    ];
    const [step] = decide(rolling(devices, failed), facts(), 1000);
    assert.ok(step?.action === "revert");
    assert.deepEqual(
      step.devices.map(({ deviceId, phase }) => [deviceId, phase]),
      [
        ["a", "rolled-back"],
        ["b", "rolled-back"],
      ],
    );
    const after = devices.map((device) => step.devices.find(({ deviceId }) => deviceId === device.deviceId) ?? device);
    assert.deepEqual(actionsOf(rolling(after, failed), facts(), 1000), ["enter"]);
  });
  test("an inconclusive wave pauses", () => {
    const waves = running.map((wave) => ({ ...wave, state: "inconclusive" as const }));
    const [step] = decide(rolling([], waves), facts(), 0);
    assert.ok(step?.action === "enter" && step.phase === "paused");
  });
});

test("phases at rest decide nothing, whatever the facts", () => {
  for (const phase of ["paused", "complete", "failed", "rolled-back", "aborted"] as const) {
    assert.deepEqual(decide(state(phase), facts(), 1e9), []);
  }
});

describe("an operator's word", () => {
  test("resumes where the rollout stopped", () => {
    assert.equal(control(state("paused"), "resume", "ada").phase, "planning");
    const plan = planOf([]);
    assert.equal(control(state("paused", { plan, waves: nameWaves(1, 1) }), "resume", "ada").phase, "building");
    const waves = nameWaves(1, 1).map((wave) => ({
      ...wave,
      state: wave.index === 0 ? ("inconclusive" as const) : wave.state,
    }));
    const resumed = control(state("paused", { plan, waves }), "resume", "ada");
    assert.deepEqual(
      [resumed.phase, resumed.waves[0]?.state, resumed.reason],
      ["rolling", "passed", "inconclusive wave accepted by ada"],
    );
  });
  const refused: [RolloutPhase, "pause" | "resume" | "abort"][] = [
    ["complete", "abort"],
    ["failed", "resume"],
    ["rolled-back", "pause"],
    ["aborted", "resume"],
    ["paused", "pause"],
    ["rolling", "resume"],
  ];
  for (const [phase, action] of refused) {
    test(`can't ${action} a rollout that is ${phase}`, () => {
      assert.throws(
        () => control(state(phase), action, "ada"),
        (error) => hasCode(error, "rollout.not-controllable"),
      );
    });
  }
});

describe("canaries", () => {
  const planned = (deviceId: string, deviceClass: string, served = true): Plan["devices"][number] => ({
    deviceId,
    name: deviceId,
    deviceClass,
    hardwareClass: "",
    limits: {},
    choice: served
      ? {
          recipeDigest: recipe,
          variantName: "v",
          prediction: {
            tpotMs: zero,
            ttftMs: zero,
            peakMemoryBytes: bytes,
            diskBytes: bytes,
            downloadSeconds: null,
            joulesPerToken: null,
            loadMs: null,
          },
        }
      : null,
    reason: "",
    active: null,
    downloadBytes: 0,
    ladder: [],
    ruledOut: [],
  });
  const bytes = { value: 0, relativeUncertainty: 0 };
  const zero = { ...bytes, p90Excess: 0 };
  const names = (devices: Plan["devices"], share: number) => [...chooseCanaries(devices, share)].sort();

  test("there is one of every class that has others to protect", () => {
    const devices = [planned("a", "x"), planned("b", "x"), planned("c", "y"), planned("d", "y"), planned("e", "z")];
    assert.deepEqual(names(devices, 0.1), ["a", "c"]);
    assert.deepEqual(names(devices, 0.6), ["a", "b", "c"]);
  });
  test("a fleet of single devices has one canary, and a share of 0 none", () => {
    const devices = [planned("a", "x"), planned("b", "y"), planned("c", "z", false)];
    assert.deepEqual(names(devices, 0.1), ["a"]);
    assert.deepEqual(names(devices, 0), []);
    assert.deepEqual(names(devices, 1), ["a", "b"]);
  });
  test("waves without devices don't exist", () => {
    assert.deepEqual(
      [nameWaves(1, 2), nameWaves(0, 2), nameWaves(2, 0), nameWaves(0, 0)].map((waves) =>
        waves.map(({ name }) => name),
      ),
      [["canary", "rest"], ["all"], ["canary"], []],
    );
  });
});
