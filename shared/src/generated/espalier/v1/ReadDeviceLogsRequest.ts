// Original file: proto/espalier/v1/operator.proto


export interface ReadDeviceLogsRequest {
  'device'?: (string);
  'lines'?: (number);
  'follow'?: (boolean);
}

export interface ReadDeviceLogsRequest__Output {
  'device': (string);
  'lines': (number);
  'follow': (boolean);
}
