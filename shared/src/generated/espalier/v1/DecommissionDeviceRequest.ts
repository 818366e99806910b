// Original file: proto/espalier/v1/operator.proto


export interface DecommissionDeviceRequest {
  'device'?: (string);
}

export interface DecommissionDeviceRequest__Output {
  'device': (string);
}
