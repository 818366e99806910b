import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { artifactFiles, ChatConfig } from "@espalier/shared/contracts/manifest";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import { Tokenizer } from "@huggingface/tokenizers";
import { readVocabulary, type Vocabulary } from "../grammar/vocabulary.ts";
import { type ChatMessage, ChatPrompt } from "./chat-prompt.ts";

/** Text of tokens; special tokens (BOS, end of turn) have none. */
export type Detokenize = (tokens: readonly number[]) => string;

/** An artifact's tokenizer, chat template and special tokens. */
export class TextTokenizer {
  /** Any of these ends an answer. */
  readonly stopTokenIds: readonly number[];
  readonly hasChat: boolean;
  /** The bytes of its tokens, read when first asked for. Rejects with `grammar.vocabulary`. */
  readonly vocabulary: () => Promise<Vocabulary>;
  readonly #tokenizer: Tokenizer;
  readonly #chat: ChatPrompt | null;
  readonly #bos: readonly number[];
  readonly #longestTokenChars: number;
  #anchor: number[] | undefined;

  constructor(tokenizer: Tokenizer, config: ChatConfig, vocabulary: () => Promise<Vocabulary>) {
    this.#tokenizer = tokenizer;
    this.vocabulary = vocabulary;
    this.#chat = ChatPrompt.of(config);
    this.hasChat = this.#chat !== null;
    this.stopTokenIds = config.eosTokenIds;
    this.#bos = config.addBosToken && config.bosTokenId !== null ? [config.bosTokenId] : [];
    let longest = 1;
    for (const token of tokenizer.get_vocab(true).keys()) longest = Math.max(longest, token.length);
    this.#longestTokenChars = longest;
  }

  /** A plain prompt, with BOS before it where the model wants one. */
  encodePrompt(text: string): number[] {
    return [...this.#bos, ...this.#encode(text)];
  }

  /** A conversation as text, up to where the assistant's answer begins. Throws `chat.refused` or `chat.none`. */
  renderChat(messages: readonly ChatMessage[]): string {
    if (this.#chat === null) {
      throw new EspalierError("chat.none", "This model has no chat template", { remedy: "Use /v1/completions." });
    }
    return this.#chat.render(messages);
  }

  /** Tokens of a rendered conversation; its special tokens are written out in it. */
  encodeRendered(text: string): number[] {
    return this.#encode(text);
  }

  /** No text of this length has fewer tokens: tells cheaply that a long one can't fit. */
  leastTokens(text: string): number {
    return Math.ceil(text.length / this.#longestTokenChars);
  }

  readonly decode: Detokenize = (tokens) =>
    tokens.length === 0 ? "" : this.#tokenizer.decode([...tokens], { skip_special_tokens: true });

  /** What one token adds to a text; special tokens are written out. */
  tokenText(token: number): string {
    this.#anchor ??= this.#encode("a");
    // Alone, a token would lose the space that some decoders drop at a text's beginning.
    const before = this.#tokenizer.decode(this.#anchor, { skip_special_tokens: false });
    return this.#tokenizer.decode([...this.#anchor, token], { skip_special_tokens: false }).slice(before.length);
  }

  #encode(text: string): number[] {
    return text === "" ? [] : this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }
}

/** Reads an artifact's tokenizer files. Throws `tokenizer.unreadable`. */
export async function loadTokenizer(folder: string): Promise<TextTokenizer> {
  try {
    const [tokenizer, config, chat] = await Promise.all(
      [artifactFiles.tokenizer, artifactFiles.tokenizerConfig, artifactFiles.chat].map(
        async (file): Promise<unknown> => JSON.parse(await readFile(join(folder, file), "utf8")),
      ),
    );
    let vocabulary: Promise<Vocabulary> | null = null;
    // Read again: few devices are asked for it, and the parsed file is large.
    const readOnce = (): Promise<Vocabulary> => {
      vocabulary ??= readFile(join(folder, artifactFiles.tokenizer), "utf8").then((text) =>
        readVocabulary(JSON.parse(text)),
      );
      return vocabulary;
    };
    return new TextTokenizer(new Tokenizer(Object(tokenizer), Object(config)), ChatConfig.parse(chat), readOnce);
  } catch (error) {
    throw new EspalierError("tokenizer.unreadable", `Cannot load the tokenizer in ${folder}: ${messageOf(error)}`, {
      fields: { folder },
      cause: error,
    });
  }
}
