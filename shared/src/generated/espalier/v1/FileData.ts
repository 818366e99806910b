// Original file: proto/espalier/v1/operator.proto


export interface FileData {
  'data'?: (Buffer | Uint8Array | string);
}

export interface FileData__Output {
  'data': (Buffer);
}
