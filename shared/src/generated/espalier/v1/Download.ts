// Original file: proto/espalier/v1/session.proto


export interface Download {
  'digests'?: (string)[];
}

export interface Download__Output {
  'digests': (string)[];
}
