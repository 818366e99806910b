import assert from "node:assert/strict";
import { test } from "node:test";
import { collectAgents } from "./agent-spec.ts";

test("an agent's name, budget and labels are read from one argument", () => {
  const [spec] = collectAgents("name=pi,threads=1,memory=300MiB,cpu-quota=0.5,label.tier=small", []);
  assert.deepEqual(spec, {
    name: "pi",
    labels: { tier: "small" },
    budget: { threads: "1", memory: "300MiB", "cpu-quota": "0.5" },
  });
});

test("a repeated option adds agents in order", () => {
  const specs = collectAgents("name=b", collectAgents("name=a", []));
  assert.deepEqual(
    specs.map((spec) => spec.name),
    ["a", "b"],
  );
});

test("an unknown key and a missing name are refused", () => {
  assert.throws(() => collectAgents("name=a,colour=red", []), /colour/);
  assert.throws(() => collectAgents("threads=1", []), /name/);
});
