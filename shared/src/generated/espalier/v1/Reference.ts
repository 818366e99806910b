// Original file: proto/espalier/v1/operator.proto


export interface Reference {
  'name'?: (string);
  'title'?: (string);
  'source'?: (string);
  'measured'?: (boolean);
}

export interface Reference__Output {
  'name': (string);
  'title': (string);
  'source': (string);
  'measured': (boolean);
}
