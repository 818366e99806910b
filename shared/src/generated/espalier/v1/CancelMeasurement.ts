// Original file: proto/espalier/v1/session.proto


export interface CancelMeasurement {
  'commandId'?: (string);
}

export interface CancelMeasurement__Output {
  'commandId': (string);
}
