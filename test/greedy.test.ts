import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { assertGreedyAsPyTorch } from "./fixtures/greedy-reference.ts";

it("the runtime answers greedily what PyTorch does, for 200 tokens of the bundled model in fp32", async () => {
  const model = fileURLToPath(new URL("../models/tiny", import.meta.url));
  await assertGreedyAsPyTorch(model, ["Once upon a time", "The dog said", "Lily and Tom went to the park."], 200);
});
