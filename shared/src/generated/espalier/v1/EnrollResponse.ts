// Original file: proto/espalier/v1/enrollment.proto


export interface EnrollResponse {
  'deviceId'?: (string);
  'certificatePem'?: (string);
  'authorityPem'?: (string);
  'natsUserJwt'?: (string);
  'natsUrls'?: (string)[];
  'sessionAddress'?: (string);
}

export interface EnrollResponse__Output {
  'deviceId': (string);
  'certificatePem': (string);
  'authorityPem': (string);
  'natsUserJwt': (string);
  'natsUrls': (string)[];
  'sessionAddress': (string);
}
