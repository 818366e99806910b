// Original file: proto/espalier/v1/enrollment.proto


export interface ReadmitRequest {
  'certificatePem'?: (string);
  'csrPem'?: (string);
}

export interface ReadmitRequest__Output {
  'certificatePem': (string);
  'csrPem': (string);
}
