// Original file: proto/espalier/v1/operator.proto


export interface DecommissionDeviceResponse {
  'deviceId'?: (string);
}

export interface DecommissionDeviceResponse__Output {
  'deviceId': (string);
}
