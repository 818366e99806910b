// Original file: proto/espalier/v1/operator.proto


export interface LabelDeviceRequest {
  'device'?: (string);
  'set'?: ({[key: string]: string});
  'remove'?: (string)[];
}

export interface LabelDeviceRequest__Output {
  'device': (string);
  'set': ({[key: string]: string});
  'remove': (string)[];
}
