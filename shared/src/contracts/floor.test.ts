import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { meetsFloor, parseFloor, writeFloor } from "./floor.ts";

test("a floor names a figure and the side on which it is good", () => {
  assert.deepEqual(parseFloor(" perplexity <= 30 "), { figure: "perplexity", limit: 30 });
  for (const text of ["agreement<=0.9", "kl>=0.1", "size<=3", "kl<=", "kl<=x", "0.9", ""]) {
    assert.throws(
      () => parseFloor(text),
      (error) => hasCode(error, "search.floor"),
    );
  }
});

test("quality meets a floor on its good side, the limit included", () => {
  const quality = { agreement: 0.9, kl: 0.1, perplexity: 30, bitsPerByte: 1.1, klHalfWidth: 0 };
  for (const text of ["agreement>=0.9", "kl<=0.1", "perplexity<=30", "bitsPerByte<=1.1"]) {
    assert.ok(meetsFloor(quality, parseFloor(text)));
    assert.equal(writeFloor(parseFloor(text)), text);
  }
  for (const text of ["agreement>=0.91", "kl<=0.09", "perplexity<=29", "bitsPerByte<=1"]) {
    assert.ok(!meetsFloor(quality, parseFloor(text)));
  }
});
