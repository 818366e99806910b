// Original file: proto/espalier/v1/enrollment.proto


export interface EnrollRequest {
  'token'?: (string);
  'csrPem'?: (string);
  'requestedName'?: (string);
  'labels'?: ({[key: string]: string});
  'natsPublicKey'?: (string);
}

export interface EnrollRequest__Output {
  'token': (string);
  'csrPem': (string);
  'requestedName': (string);
  'labels': ({[key: string]: string});
  'natsPublicKey': (string);
}
