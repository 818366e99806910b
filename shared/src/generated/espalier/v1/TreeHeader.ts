// Original file: proto/espalier/v1/operator.proto


export interface TreeHeader {
  'name'?: (string);
}

export interface TreeHeader__Output {
  'name': (string);
}
