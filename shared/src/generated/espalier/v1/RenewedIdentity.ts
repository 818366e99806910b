// Original file: proto/espalier/v1/enrollment.proto


export interface RenewedIdentity {
  'certificatePem'?: (string);
  'natsUserJwt'?: (string);
}

export interface RenewedIdentity__Output {
  'certificatePem': (string);
  'natsUserJwt': (string);
}
