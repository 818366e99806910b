import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOfJson } from "@espalier/shared/contracts/digest";
import { upperEndOf } from "@espalier/shared/contracts/plan";
import { DeviceProfile } from "@espalier/shared/contracts/profile";
import { syntheticKit } from "../../predict/testing/synthetic-device.ts";
import { syntheticCandidates } from "../testing/synthetic-candidates.ts";
import { syntheticRequest } from "../testing/synthetic-request.ts";
import { hypotheticalProfile } from "./hypothetical-profile.ts";
import { makePlan } from "./make-plan.ts";
import { estimates, type ReferenceDevice, readBytesPerSecond, referenceDevices } from "./reference-devices.ts";

const kit = syntheticKit();
const profileOf = (reference: ReferenceDevice) => hypotheticalProfile(reference, { kit, kitDigest: digestOfJson(kit) });

function planFor(references: readonly ReferenceDevice[], tpotP90Ms?: number) {
  const devices = references.map((reference) => ({
    deviceId: reference.name,
    name: reference.name,
    labels: {},
    profile: profileOf(reference),
    missing: "",
    active: null,
  }));
  return makePlan(syntheticRequest(devices, { limits: tpotP90Ms === undefined ? {} : { tpotP90Ms } }));
}

test("every reference device has a source and a profile that keeps the contract", () => {
  assert.equal(new Set(referenceDevices.map(({ name }) => name)).size, referenceDevices.length);
  for (const reference of referenceDevices) {
    for (const source of [reference.source, reference.measuredRead?.source ?? reference.source])
      assert.match(source, /^https:\/\//);
    assert.ok(readBytesPerSecond(reference) < reference.memoryBandwidthBytesPerSecond);
    assert.deepEqual(DeviceProfile.parse(profileOf(reference)), profileOf(reference));
  }
});

test("reading the weights bounds a token, whose estimate says how far off it may be", () => {
  const [rpi4] = referenceDevices;
  const { choice } = planFor([rpi4!]).devices[0]!;
  const { tpotMs } = choice!.prediction;
  const candidate = syntheticCandidates().find(({ name }) => name === choice!.variantName)!;
  const readingMs = (1000 * candidate.shape.weightBytes) / readBytesPerSecond(rpi4!);
  assert.ok(tpotMs.value > readingMs && tpotMs.value < 2.5 * readingMs, `${tpotMs.value} beside ${readingMs}`);
  assert.ok(tpotMs.relativeUncertainty >= estimates.relativeError);
});

test("a Raspberry Pi 5 is faster than a 4, and more memory bandwidth never makes a device slower", () => {
  const tpot = (reference: ReferenceDevice) => planFor([reference]).devices[0]!.choice!.prediction.tpotMs.value;
  const [rpi4, rpi5] = referenceDevices;
  assert.ok(tpot(rpi5!) < tpot(rpi4!));
  for (const { measuredRead: _, ...reference } of referenceDevices) {
    const wider = { ...reference, memoryBandwidthBytesPerSecond: 2 * reference.memoryBandwidthBytesPerSecond };
    assert.ok(tpot(wider) <= tpot(reference), reference.name);
  }
});

test("a limit between both gives them different variants", () => {
  const both = referenceDevices.slice(0, 2);
  const uppers = planFor(both).devices.map(({ choice }) => upperEndOf(choice!.prediction.tpotMs));
  const { devices } = planFor(both, (uppers[0]! + uppers[1]!) / 2);
  assert.equal(new Set(devices.map(({ choice }) => choice?.variantName)).size, 2);
});
