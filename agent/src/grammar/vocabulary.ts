import { EspalierError } from "@espalier/shared/errors";

/** The bytes that each token adds to a text. Shared memory: sending it to a thread costs nothing. */
export interface Vocabulary {
  readonly bytes: Uint8Array;
  /** [tokens + 1]: token `id` has bytes [offsets[id], offsets[id + 1]), none if it is special. */
  readonly offsets: Int32Array;
}

interface TokenizerFile {
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
  readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
}

/**
 * Reads the tokens' bytes from a `tokenizer.json`: byte-level BPE (Radford et al. 2019), or SentencePiece's with a space
 * written as U+2581 and `<0xNN>` for a byte. Throws `grammar.vocabulary` for any other.
 */
export function readVocabulary(file: unknown): Vocabulary {
  const { model, added_tokens: added } = file as TokenizerFile;
  const decoder = JSON.stringify((file as { decoder?: unknown }).decoder ?? null);
  const bytesOf = decoder.includes('"ByteLevel"') ? byteLevel() : decoder.includes("\u2581") ? sentencePiece : null;
  if (bytesOf === null || Array.isArray(model.vocab))
    throw new EspalierError("grammar.vocabulary", "This model's tokenizer doesn't say which bytes its tokens are");
  const tokens: Uint8Array[] = [];
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = bytesOf(token);
  for (const { id, content, special } of added) tokens[id] = special ? new Uint8Array() : Buffer.from(content);
  const offsets = new Int32Array(new SharedArrayBuffer(4 * (tokens.length + 1)));
  for (let id = 0; id < tokens.length; id += 1) offsets[id + 1] = (offsets[id] ?? 0) + (tokens[id]?.length ?? 0);
  const bytes = new Uint8Array(new SharedArrayBuffer(offsets[tokens.length] ?? 0));
  for (const [id, token] of tokens.entries()) if (token !== undefined) bytes.set(token, offsets[id]);
  return { bytes, offsets };
}

/** Bytes that are no printable character of Latin-1 stand as characters from U+0100 on. */
function byteLevel(): (token: string) => Uint8Array {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const bytes = new Map<number, number>();
  let shifted = 0x100;
  for (let byte = 0; byte < 256; byte += 1) {
    bytes.set(isPrintable(byte) ? byte : shifted, byte);
    if (!isPrintable(byte)) shifted += 1;
  }
  return (token) => Uint8Array.from([...token], (character) => bytes.get(character.codePointAt(0) ?? 0) ?? 0);
}

function sentencePiece(token: string): Uint8Array {
  const [, hex] = /^<0x([0-9A-F]{2})>$/.exec(token) ?? [];
  return hex === undefined ? Buffer.from(token.replaceAll("\u2581", " ")) : Uint8Array.of(Number.parseInt(hex, 16));
}
