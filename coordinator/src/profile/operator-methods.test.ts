import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelProfile } from "@espalier/shared/contracts/model-profile";
import { hasCode } from "@espalier/shared/errors";
import type { ProfileModelRequest__Output } from "@espalier/shared/generated/espalier/v1/ProfileModelRequest";
import { startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { listJobs } from "../store/jobs.ts";
import { profileMethods } from "./operator-methods.ts";

const request: ProfileModelRequest__Output = {
  model: "model",
  evaluation: "",
  device: "",
  format: "",
  contextTokens: 0,
};

async function startProfiles(fleet: Awaited<ReturnType<typeof startSmallFleet>>) {
  const { store, blobs, builds } = fleet;
  const methods = profileMethods({ store, blobs, builds });
  return async (over: Partial<ProfileModelRequest__Output> = {}): Promise<ModelProfile> => {
    let profile: ModelProfile | undefined;
    const { signal } = new AbortController();
    for await (const event of methods.profileModel({ ...request, ...over }, { signal } as never)) {
      if (event.profile) profile = ModelProfile.parse(JSON.parse(event.profile.json ?? ""));
      else await fleet.playBuilder({});
    }
    assert.ok(profile !== undefined);
    return profile;
  };
}

test("a model is profiled by a builder once, and with a device's times once one has measured it", async (t) => {
  const fleet = await startSmallFleet(t, [{ id: "big" }, { id: "small" }]);
  const profile = await startProfiles(fleet);
  const first = await profile();
  assert.equal(first.device, null);
  await fleet.startEngine().start({ name: "first", model: "model" });
  await fleet.play();
  const second = await profile({ device: "small", format: "q4b32a" });
  assert.deepEqual([second.device?.name, second.device?.format], ["small", "q4b32a"]);
  assert.ok((second.device?.predictedMs ?? 0) > 0);
  const jobs = (await listJobs(fleet.store.db)).filter(({ job }) => job.kind === "profile");
  assert.equal(jobs.length, 1, "asked twice, made once");
});

test("what isn't there is named with what to do", async (t) => {
  const profile = await startProfiles(await startSmallFleet(t, [{ id: "big" }]));
  await assert.rejects(profile({ model: "other" }), (error) => hasCode(error, "model.unknown"));
  await assert.rejects(profile({ evaluation: "other" }), (error) => hasCode(error, "dataset.unknown"));
  await assert.rejects(profile({ device: "other" }), (error) => hasCode(error, "device.unknown"));
  await assert.rejects(profile({ device: "big" }), (error) => hasCode(error, "profile.not-measured"));
});
