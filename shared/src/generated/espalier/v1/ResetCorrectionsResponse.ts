// Original file: proto/espalier/v1/operator.proto


export interface ResetCorrectionsResponse {
  'hardwareClasses'?: (string)[];
}

export interface ResetCorrectionsResponse__Output {
  'hardwareClasses': (string)[];
}
