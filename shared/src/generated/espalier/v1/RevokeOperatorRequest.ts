// Original file: proto/espalier/v1/operator.proto


export interface RevokeOperatorRequest {
  'name'?: (string);
}

export interface RevokeOperatorRequest__Output {
  'name': (string);
}
