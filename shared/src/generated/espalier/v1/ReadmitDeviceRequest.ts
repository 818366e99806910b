// Original file: proto/espalier/v1/operator.proto


export interface ReadmitDeviceRequest {
  'device'?: (string);
}

export interface ReadmitDeviceRequest__Output {
  'device': (string);
}
