import { wireField, wireFloat } from "./protobuf-wire.ts";

/** Element types of ONNX. */
export const types = { float32: 1, uint8: 2, int32: 6 };
const attributeTypes = { float: 1, integer: 2 };

/** A ModelProto (onnx.proto, version 1.18) of a graph with these parts, each a field of GraphProto. */
export function onnxModel(parts: readonly Uint8Array[]): Uint8Array {
  const opset = (domain: string, version: number): Uint8Array =>
    wireField(8, Buffer.concat([wireField(1, domain), wireField(2, version)]));
  const graph = Buffer.concat([...parts, wireField(2, "probe")]);
  return Buffer.concat([wireField(1, 10), opset("", 21), opset("com.microsoft", 1), wireField(7, graph)]);
}

/** A GraphProto's `node`. */
export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  integers: Readonly<Record<string, number>> = {},
  domain = "",
  floats: Readonly<Record<string, number>> = {},
): Uint8Array {
  const attribute = (name: string, type: number, value: Uint8Array): Uint8Array =>
    wireField(5, Buffer.concat([wireField(1, name), value, wireField(20, type)]));
  const attributes = [
    ...Object.entries(integers).map(([name, value]) => attribute(name, attributeTypes.integer, wireField(3, value))),
    ...Object.entries(floats).map(([name, value]) => attribute(name, attributeTypes.float, wireFloat(2, value))),
  ];
  const names = [...inputs.map((name) => wireField(1, name)), ...outputs.map((name) => wireField(2, name))];
  return wireField(1, Buffer.concat([...names, wireField(4, operator), ...attributes, wireField(7, domain)]));
}

/** A GraphProto's `initializer`. */
export function tensor(name: string, type: number, shape: readonly number[], raw: Uint8Array): Uint8Array {
  const dimensions = shape.map((size) => wireField(1, size));
  return wireField(5, Buffer.concat([...dimensions, wireField(2, type), wireField(8, name), wireField(9, raw)]));
}

/** A GraphProto's `input` or `output`; a dimension is a size or the name of one. */
export function graphInput(name: string, type: number, shape: readonly (number | string)[]): Uint8Array {
  return wireField(11, valueInfo(name, type, shape));
}

export function graphOutput(name: string, type: number, shape: readonly (number | string)[]): Uint8Array {
  return wireField(12, valueInfo(name, type, shape));
}

function valueInfo(name: string, type: number, shape: readonly (number | string)[]): Uint8Array {
  const dimensions = shape.map((size) => wireField(1, wireField(typeof size === "number" ? 1 : 2, size)));
  const tensorType = Buffer.concat([wireField(1, type), wireField(2, Buffer.concat(dimensions))]);
  return Buffer.concat([wireField(1, name), wireField(2, wireField(1, tensorType))]);
}
