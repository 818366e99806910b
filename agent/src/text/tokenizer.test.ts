import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { TextStream } from "./text-stream.ts";
import { loadTokenizer, type TextTokenizer } from "./tokenizer.ts";

const replacement = "\uFFFD";
const sentences = [
  "Once upon a time, there was a little girl.",
  "Grüße aus 日本 🎉👩‍👩‍👧!",
  "two  spaces\n\nand lines\t.",
  " leading",
];

describe("TextTokenizer", () => {
  let tokenizer: TextTokenizer;
  before(async () => {
    tokenizer = await loadTokenizer((await tinyArtifact("dense-fp32")).folder);
  });

  it("decodes what it encoded", () => {
    for (const text of sentences) assert.equal(tokenizer.decode(tokenizer.encodePrompt(text)), text);
  });

  it("puts BOS before a plain prompt once", () => {
    const tokens = tokenizer.encodePrompt("Once");
    assert.deepEqual(
      tokens.filter((token) => token === 1),
      [1],
    );
    assert.equal(tokens[0], 1);
  });

  it("renders a conversation up to the assistant's turn", () => {
    const text = tokenizer.renderChat([
      { role: "system", content: "Be kind." },
      { role: "user", content: "Hi" },
    ]);
    assert.equal(text, "<s><|system|>Be kind.<|user|>Hi<|assistant|>");
    assert.deepEqual(tokenizer.encodeRendered(text).slice(-1), tokenizer.encodeRendered("<|assistant|>"));
  });

  it("reports what the template refuses", () => {
    assert.throws(() => tokenizer.renderChat([{ role: "robot", content: "Hi" }]), {
      code: "chat.refused",
      message: /robot/,
    });
  });

  it("never claims more tokens than a text has", () => {
    for (const text of [...sentences, " ".repeat(300), "a".repeat(300)]) {
      assert.ok(tokenizer.leastTokens(text) <= tokenizer.encodeRendered(text).length, text);
    }
  });

  it("names the folder whose tokenizer can't be read", async () => {
    await assert.rejects(loadTokenizer("/nowhere"), { code: "tokenizer.unreadable", message: /\/nowhere/ });
  });

  describe("TextStream", () => {
    it("gives out whole characters that join to the text", () => {
      for (const text of sentences) {
        const tokens = tokenizer.encodeRendered(text);
        const stream = new TextStream(tokenizer.decode, [1]);
        const pieces = [...tokens.map((token) => stream.push(token)), stream.flush()];
        assert.equal(pieces.join(""), text);
        assert.ok(pieces.every((piece) => !piece.includes(replacement)));
      }
    });

    it("holds back half a character until the end, then shows that it is broken", () => {
      const halves = tokenizer.encodeRendered("🎉").slice(0, -1);
      const stream = new TextStream(tokenizer.decode, [1]);
      assert.equal(halves.map((token) => stream.push(token)).join(""), "");
      assert.match(stream.flush(), /\uFFFD/);
    });

    it("doesn't hold back broken bytes for ever", () => {
      const firstByte = tokenizer.encodeRendered("🎉")[0]!;
      const stream = new TextStream(tokenizer.decode, [1]);
      const text = Array.from({ length: 40 }, () => stream.push(firstByte)).join("");
      assert.ok(text.length >= 30, `${text.length} characters of 40 broken bytes are out`);
      assert.equal(stream.push(tokenizer.encodeRendered("a")[0]!).at(-1), "a");
    });
  });
});
