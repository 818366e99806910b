// Original file: proto/espalier/v1/operator.proto


export interface CreateOperatorRequest {
  'name'?: (string);
  'role'?: (string);
  'lifetimeDays'?: (number);
}

export interface CreateOperatorRequest__Output {
  'name': (string);
  'role': (string);
  'lifetimeDays': (number);
}
