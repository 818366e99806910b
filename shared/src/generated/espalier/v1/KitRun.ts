// Original file: proto/espalier/v1/session.proto


export interface KitRun {
  'kitDigest'?: (string);
}

export interface KitRun__Output {
  'kitDigest': (string);
}
