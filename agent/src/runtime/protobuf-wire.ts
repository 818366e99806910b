/** One field of a message: a number for varints, bytes for what has a length. Fixed-width values are skipped. */
export interface WireField {
  readonly number: number;
  readonly value: number | Uint8Array;
}

const wireTypes = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const;
/** A varint of 64 bits has at most this many bytes. */
const maxVarintBytes = 10;

/**
 * Fields of a protobuf message in order (protobuf.dev, "Encoding"). Varints above 2^53 lose precision. Throws for bytes that
 * are no message: truncated, or of a wire type that proto3 doesn't know.
 */
export function* wireFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < maxVarintBytes; i += 1) {
      const byte = bytes[at];
      if (byte === undefined) break;
      at += 1;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new Error(`not protobuf: a number doesn't end at byte ${at}`);
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw new Error(`not protobuf: ${length} bytes wanted at byte ${at}, but it ends`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case wireTypes.varint:
        yield { number, value: varint() };
        break;
      case wireTypes.lengthDelimited:
        yield { number, value: take(varint()) };
        break;
      case wireTypes.fixed64:
        take(8);
        break;
      case wireTypes.fixed32:
        take(4);
        break;
      default:
        throw new Error(`not protobuf: wire type ${tag % 8} at byte ${at}`);
    }
  }
}
