/** One field of a message: a number for varints, bytes for what has a length and for fixed-width values. */
export interface WireField {
  readonly number: number;
  readonly value: number | Uint8Array;
  /** The field as it stands in the message, its tag included. */
  readonly encoded: Uint8Array;
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
  const takeValue = (wireType: number): number | Uint8Array => {
    switch (wireType) {
      case wireTypes.varint:
        return varint();
      case wireTypes.lengthDelimited:
        return take(varint());
      case wireTypes.fixed64:
        return take(8);
      case wireTypes.fixed32:
        return take(4);
      default:
        throw new Error(`not protobuf: wire type ${wireType} at byte ${at}`);
    }
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const value = takeValue(tag % 8);
    yield { number: Math.floor(tag / 8), value, encoded: bytes.subarray(start, at) };
  }
}

/** A field of a message: a number as a varint, text and bytes with their length. Numbers are at least 0. */
export function wireField(number: number, value: number | string | Uint8Array): Uint8Array {
  if (typeof value === "number") return Buffer.concat([varintBytes(number * 8 + wireTypes.varint), varintBytes(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varintBytes(number * 8 + wireTypes.lengthDelimited), varintBytes(bytes.length), bytes]);
}

/** A field of a message that is a float. */
export function wireFloat(number: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varintBytes(number * 8 + wireTypes.fixed32), bytes]);
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) + 0x80);
  return Uint8Array.from([...bytes, left]);
}
