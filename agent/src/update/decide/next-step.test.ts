import assert from "node:assert/strict";
import { test } from "node:test";
import type { Assignment } from "@espalier/shared/contracts/assignment";
import type { Digest } from "@espalier/shared/contracts/digest";
import { type AgentState, type Installed, initialState, nothingProven } from "../agent-state.ts";

import { type Facts, nextStep } from "./next-step.ts";
import * as transitions from "./transitions.ts";

const a: Digest = `sha256:${"a".repeat(64)}`;
const b: Digest = `sha256:${"b".repeat(64)}`;
const c: Digest = `sha256:${"c".repeat(64)}`;
const at = (n: number, epoch = 0) => ({ epoch, n });
const assignment = (n: number, digest: Digest | null, epoch = 0): Assignment => ({
  schemaVersion: 1,
  deviceId: "d",
  generation: at(n, epoch),
  rolloutId: null,
  variant:
    digest === null
      ? null
      : {
          artifactDigest: digest,
          name: "v",
          modelName: "m",
          manifestBytes: 1,
          totalBytes: 1,
          timing: { promptTokens: 64, outputTokens: 24 },
        },
  issuedAtMs: 0,
});
const installed = (artifactDigest: Digest): Installed => ({
  artifactDigest,
  name: "v",
  modelName: "m",
  activatedAtMs: 0,
  proof: nothingProven,
});
const given = (state: Partial<AgentState>, facts: Partial<Omit<Facts, "state">> = {}): Facts => ({
  state: { ...initialState(), reported: state.settled ?? null, ...state },
  serving: null,
  held: new Set(),
  trialIsOurs: true,
  ...facts,
});
const vouched = (n: number, digest: Digest) => ({
  assignment: assignment(n, digest),
  vouch: { generation: at(n), artifactDigest: digest },
});

test("an assignment that nobody vouched for waits, also one vouched for in another generation or artifact", () => {
  for (const vouch of [null, { generation: at(1), artifactDigest: b }, { generation: at(2), artifactDigest: a }])
    assert.deepEqual(nextStep(given({ assignment: assignment(1, a), vouch })), { action: "wait" });
});

test("a vouched assignment is obtained, then proven", () => {
  assert.equal(nextStep(given(vouched(1, a))).action, "obtain");
  assert.equal(nextStep(given(vouched(1, a), { held: new Set([a]) })).action, "prove");
});

test("a rollback to a variant on disk needs no download", () => {
  const state = { ...vouched(3, a), active: installed(b), previous: installed(a), settled: at(2) };
  assert.equal(nextStep(given(state, { serving: b, held: new Set([a, b]) })).action, "prove");
});

test("a settled generation and older ones are never acted on again", () => {
  for (const n of [1, 2]) assert.equal(nextStep(given({ ...vouched(n, a), settled: at(2) })).action, "wait");
  assert.equal(nextStep(given({ ...vouched(3, a), settled: at(2) })).action, "obtain");
});

test("a restart serves the active variant before anything else", () => {
  const state = { ...vouched(2, b), active: installed(a), settled: at(1) };
  assert.equal(nextStep(given(state, { held: new Set([a]) })).action, "restore");
  assert.equal(nextStep(given(state, { held: new Set([a]), serving: a })).action, "obtain");
});

test("a trial that its process did not survive is tried once more, since power may have failed, and then is a failure", () => {
  const state = { ...initialState(), ...vouched(2, b), active: installed(a) };
  const facts = { held: new Set([a, b]), trialIsOurs: false };
  const once = transitions.trialBegun(state, at(2), b);
  assert.equal(nextStep(given(once, facts)).action, "restore");
  assert.equal(nextStep(given(once, { ...facts, serving: a })).action, "prove");
  const twice = transitions.trialBegun(once, at(2), b);
  const step = nextStep(given(twice, facts));
  assert.ok(step.action === "fail" && step.digest === b && step.generation.n === 2);
  assert.equal(transitions.trialBegun(once, at(3), c).trial?.attempts, 1);
});

test("an active variant that kills the agent while loading, or is gone, gives way to the previous one", () => {
  const state = { active: installed(a), previous: installed(b), restoreAttempts: 3 };
  assert.equal(nextStep(given(state, { held: new Set([a, b]) })).action, "demote");
  assert.equal(nextStep(given({ ...state, restoreAttempts: 2 }, { held: new Set([a, b]) })).action, "restore");
  assert.equal(nextStep(given({ ...state, restoreAttempts: 0 }, { held: new Set([b]) })).action, "demote");
  assert.equal(
    transitions.demoted({ ...initialState(), ...state }, { fetchAgain: false, reason: "", atMs: 0 }).active
      ?.artifactDigest,
    b,
  );
});

test("what is assigned and active already only settles", () => {
  const state = { ...vouched(2, a), active: installed(a), settled: at(1) };
  assert.equal(nextStep(given(state, { serving: a, held: new Set([a]) })).action, "settle");
});

test("being assigned nothing clears without a vouch, which names only what may run", () => {
  const state = { assignment: assignment(2, null), active: installed(a), settled: at(1) };
  assert.equal(nextStep(given(state, { serving: a, held: new Set([a]) })).action, "clear");
});

test("only the active and the previous variant stay on disk, and nothing goes while an update is under way", () => {
  const state = { active: installed(a), previous: installed(b), ...vouched(1, a), settled: at(1) };
  const facts = { serving: a, held: new Set([a, b, c]) };
  assert.deepEqual(nextStep(given(state, facts)), { action: "collect", remove: [c] });
  assert.equal(nextStep(given({ ...state, ...vouched(2, c) }, facts)).action, "prove");
});

test("an end that a kill kept from being reported is reported from the state, once, and after what is active serves", () => {
  const state = { ...vouched(2, b), active: installed(b), settled: at(2), reported: at(1) };
  assert.equal(nextStep(given(state, { held: new Set([b]) })).action, "restore");
  assert.equal(nextStep(given(state, { held: new Set([b]), serving: b })).action, "report");
  const told = transitions.reported({ ...initialState(), ...state }, at(2));
  assert.equal(nextStep(given(told, { held: new Set([b]), serving: b })).action, "wait");
});

test("an active variant that must be given up is reported as failed after all", () => {
  const state = { ...initialState(), ...vouched(2, b), active: installed(b), settled: at(2), reported: at(2) };
  const givenUp = transitions.demoted(state, { fetchAgain: false, reason: "r", atMs: 0 });
  assert.equal(nextStep(given(givenUp)).action, "report");
  assert.match(givenUp.failures.at(-1)?.reason ?? "", /can't be loaded any more: r/);
});

test("an agent that lost its state removes nothing before it is told what it shall run", () => {
  assert.deepEqual(nextStep(given({}, { held: new Set([a, b]) })), { action: "wait" });
});

test("an older assignment changes nothing; a newer one and a new epoch do", () => {
  const state = { ...initialState(), ...vouched(5, a), settled: at(4) };
  assert.equal(transitions.assigned(state, assignment(4, b)), state);
  assert.equal(transitions.assigned(state, assignment(5, b)), state);
  assert.equal(transitions.assigned(state, assignment(6, b)).assignment?.generation.n, 6);
  assert.equal(transitions.assigned(state, assignment(1, b, 1)).assignment?.generation.epoch, 1);
});

test("a forged assignment with a huge generation does not block true ones", () => {
  const forged = transitions.assigned(initialState(), assignment(1e9, c));
  const state = transitions.vouched(transitions.assigned(forged, assignment(1, a)), at(1), a);
  assert.equal(nextStep(given(state)).action, "obtain");
});

test("activation keeps what was active to go back to; a failure keeps both", () => {
  const state = { ...initialState(), active: installed(a), previous: installed(c) };
  const next = transitions.activated(state, at(2), installed(b));
  assert.deepEqual([next.active?.artifactDigest, next.previous?.artifactDigest], [b, a]);
  const failure = { generation: at(2), artifactDigest: b, reason: "r", proof: nothingProven, atMs: 0 };
  const after = transitions.failed(transitions.trialBegun(state, at(2), b), failure);
  assert.deepEqual([after.active, after.previous, after.trial], [state.active, state.previous, null]);
});
