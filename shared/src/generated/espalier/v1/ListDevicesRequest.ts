// Original file: proto/espalier/v1/operator.proto


export interface ListDevicesRequest {
  'selector'?: (string);
  'device'?: (string);
}

export interface ListDevicesRequest__Output {
  'selector': (string);
  'device': (string);
}
