// Original file: proto/espalier/v1/operator.proto


export interface ResetCorrectionsRequest {
  'hardwareClass'?: (string);
}

export interface ResetCorrectionsRequest__Output {
  'hardwareClass': (string);
}
