// Original file: proto/espalier/v1/operator.proto


export interface RevokeDeviceRequest {
  'device'?: (string);
}

export interface RevokeDeviceRequest__Output {
  'device': (string);
}
