import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { tinyArtifact } from "../../../test/fixtures/tiny-artifact.ts";
import { loadTokenizer, type TextTokenizer } from "../text/tokenizer.ts";
import { Automaton, type State } from "./automaton.ts";
import { schemaGrammar } from "./schema-grammar.ts";
import { TokenGuides } from "./token-guide.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

const grammar = schemaGrammar({
  type: "object",
  properties: { name: { type: "string" }, count: { type: "integer", minimum: 1, maximum: 20 } },
  required: ["name", "count"],
});

describe("a guide through the bundled model's tokens", () => {
  let tokenizer: TextTokenizer;
  let vocabulary: Vocabulary;
  const bytesOf = (id: number): Uint8Array =>
    vocabulary.bytes.subarray(vocabulary.offsets[id], vocabulary.offsets[id + 1]);
  before(async () => {
    tokenizer = await loadTokenizer((await tinyArtifact("dense-fp32")).folder);
    vocabulary = await tokenizer.vocabulary();
  });

  it("knows the bytes of every token", () => {
    const text = 'Lily said: "naïve, 日本 \u{1F600}"\n\tok';
    const tokens = tokenizer.encodePrompt(text).filter((id) => bytesOf(id).length > 0);
    assert.equal(Buffer.concat(tokens.map(bytesOf)).toString(), text);
    for (const stop of tokenizer.stopTokenIds) assert.equal(bytesOf(stop).length, 0);
  });

  it("allows, at each step, exactly the tokens that each by itself could follow", () => {
    const guide = new TokenGuides().begin({ grammar, vocabulary }, tokenizer.stopTokenIds);
    const automaton = new Automaton(grammar);
    const tokens = vocabulary.offsets.length - 1;
    let state: State | null = automaton.start();
    const walk = (from: State | null, id: number): State | null =>
      bytesOf(id).reduce<State | null>((at, byte) => (at === null ? null : automaton.step(at, byte)), from);
    for (const id of tokenizer
      .encodePrompt('{"name": "Tom ran", "count": 12}')
      .filter((one) => bytesOf(one).length > 0)) {
      const logits = new Float32Array(tokens);
      guide.mask(logits);
      for (let other = 0; other < tokens; other += 1) {
        const expected = tokenizer.stopTokenIds.includes(other)
          ? state?.accepts === true
          : bytesOf(other).length > 0 && walk(state, other) !== null;
        assert.equal(logits[other] === 0, expected, `${other} before ${id}`);
      }
      guide.accept(id);
      state = walk(state, id);
    }
    const logits = new Float32Array(tokens);
    guide.mask(logits);
    const left = [...logits.keys()].filter((id) => logits[id] === 0);
    assert.deepEqual(left, [...tokenizer.stopTokenIds], "nothing but the end is left");
  });

  it("says so when the vocabulary can't spell what must come", () => {
    const offsets = Int32Array.of(0, 1);
    const guide = new TokenGuides().begin({ grammar, vocabulary: { bytes: Buffer.from("x"), offsets } }, []);
    assert.throws(() => guide.mask(new Float32Array(1)), /response_format/);
  });
});

describe("a vocabulary", () => {
  it("is read from SentencePiece's tokens too, special ones left out", () => {
    const vocabulary = readVocabulary({
      model: { vocab: { "<s>": 0, "▁the": 1, "<0xE6>": 2, "<0x0A>": 3 } },
      added_tokens: [{ id: 0, content: "<s>", special: true }],
      decoder: { type: "Sequence", decoders: [{ type: "Replace", pattern: { String: "▁" }, content: " " }] },
    });
    assert.deepEqual([...vocabulary.offsets], [0, 0, 4, 5, 6]);
    assert.deepEqual([...vocabulary.bytes], [...Buffer.from(" the"), 0xe6, 0x0a]);
  });

  it("is refused where tokens' bytes aren't known", () => {
    const wordPiece = { model: { vocab: { a: 0 } }, added_tokens: [], decoder: { type: "WordPiece" } };
    assert.throws(() => readVocabulary(wordPiece), { code: "grammar.vocabulary" });
  });
});
