// Original file: proto/espalier/v1/operator.proto


export interface Finding {
  'check'?: (string);
  'level'?: (string);
  'message'?: (string);
  'fix'?: (string);
}

export interface Finding__Output {
  'check': (string);
  'level': (string);
  'message': (string);
  'fix': (string);
}
