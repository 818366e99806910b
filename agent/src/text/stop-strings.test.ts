import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StopStrings } from "./stop-strings.ts";

/** What comes out of `text` cut into pieces of one size, flushed unless stopped. */
function run(stops: readonly string[], text: string, pieceChars: number): { out: string; stopped: boolean } {
  const scan = new StopStrings(stops);
  let out = "";
  for (let start = 0; start < text.length; start += pieceChars) {
    const result = scan.push(text.slice(start, start + pieceChars));
    out += result.text;
    if (result.stopped) return { out, stopped: true };
  }
  return { out: out + scan.flush(), stopped: false };
}

describe("StopStrings", () => {
  it("cuts at the stop string wherever the pieces are cut", () => {
    for (let pieceChars = 1; pieceChars <= 12; pieceChars += 1) {
      assert.deepEqual(run(["END"], "one EN two END three", pieceChars), { out: "one EN two ", stopped: true });
    }
  });

  it("takes the earliest of several matches", () => {
    assert.deepEqual(run(["late", "early"], "an early, a late", 100), { out: "an ", stopped: true });
  });

  it("finds a stop string that overlaps its own beginning", () => {
    for (const pieceChars of [1, 2, 3]) {
      assert.deepEqual(run(["aab"], "aaab", pieceChars), { out: "a", stopped: true });
    }
  });

  it("gives back what only looked like a beginning", () => {
    assert.deepEqual(run(["\n\n"], "line\n", 1), { out: "line\n", stopped: false });
    const scan = new StopStrings(["abc"]);
    assert.equal(scan.push("xab").text, "x");
    assert.equal(scan.push("d").text, "abd");
  });

  it("passes text through without stop strings", () => {
    assert.deepEqual(run([], "text", 2), { out: "text", stopped: false });
  });
});
