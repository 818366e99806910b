import assert from "node:assert/strict";
import { test } from "node:test";
import { SensitivityReport } from "@espalier/shared/contracts/report";
import { hasCode } from "@espalier/shared/errors";
import type { SearchModelRequest__Output } from "@espalier/shared/generated/espalier/v1/SearchModelRequest";
import { startSmallFleet } from "../rollout/testing/small-fleet.ts";
import { listJobs } from "../store/jobs.ts";
import { searchMethods } from "./operator-methods.ts";

const request: SearchModelRequest__Output = {
  model: "model",
  calibration: "",
  evaluation: "",
  floor: "agreement>=0.8",
  methods: [],
  mostSparsity: 0,
  trials: 0,
  kvCache: "",
};

async function startSearches(fleet: Awaited<ReturnType<typeof startSmallFleet>>) {
  const { store, blobs, builds } = fleet;
  const methods = searchMethods({ store, blobs, builds });
  return async (over: Partial<SearchModelRequest__Output> = {}): Promise<SensitivityReport> => {
    let front: SensitivityReport | undefined;
    const { signal } = new AbortController();
    for await (const event of methods.searchModel({ ...request, ...over }, { signal } as never)) {
      if (event.front) front = SensitivityReport.parse(JSON.parse(event.front.json ?? ""));
      else await fleet.playBuilder({});
    }
    assert.ok(front !== undefined);
    return front;
  };
}

test("a builder searches once for the same question, and again for another", async (t) => {
  const fleet = await startSmallFleet(t, [{ id: "big" }]);
  const search = await startSearches(fleet);
  const first = await search();
  assert.equal(first.candidates.length, 2);
  assert.deepEqual(await search(), first);
  await search({ floor: "kl<=0.1", methods: ["obs"], trials: 12, kvCache: "int8" });
  const jobs = (await listJobs(fleet.store.db)).flatMap(({ job }) => (job.kind === "search" ? [job] : []));
  const asked = jobs.map(({ floor, methods, trials, mostSparsity, kvCache }) => {
    return { floor, methods, trials, mostSparsity, kvCache };
  });
  assert.deepEqual(
    asked.sort((a, b) => b.trials - a.trials),
    [
      {
        floor: { figure: "agreement", limit: 0.8 },
        methods: ["cfsp-rel+refit", "shortgpt+refit"],
        trials: 40,
        mostSparsity: 0.5,
        kvCache: undefined,
      },
      { floor: { figure: "kl", limit: 0.1 }, methods: ["obs"], trials: 12, mostSparsity: 0.5, kvCache: "int8" },
    ],
  );
});

test("a search that can't begin is refused with what to do", async (t) => {
  const search = await startSearches(await startSmallFleet(t, [{ id: "big" }]));
  await assert.rejects(search({ model: "other" }), (error) => hasCode(error, "model.unknown"));
  await assert.rejects(search({ floor: "size<=3" }), (error) => hasCode(error, "search.floor"));
  await assert.rejects(search({ kvCache: "int4" }), (error) => hasCode(error, "search.kv-cache"));
  await assert.rejects(search({ evaluation: "other" }), (error) => hasCode(error, "dataset.unknown"));
});
