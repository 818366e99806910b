// Original file: proto/espalier/v1/session.proto


export interface Welcome {
  'deviceId'?: (string);
  'heartbeatIntervalMs'?: (number);
}

export interface Welcome__Output {
  'deviceId': (string);
  'heartbeatIntervalMs': (number);
}
