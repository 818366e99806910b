// Original file: proto/espalier/v1/operator.proto


export interface RevokeDeviceResponse {
  'deviceId'?: (string);
}

export interface RevokeDeviceResponse__Output {
  'deviceId': (string);
}
