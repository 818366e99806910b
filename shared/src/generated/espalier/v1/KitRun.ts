// Original file: proto/espalier/v1/session.proto


export interface KitRun {
  'kitDigest'?: (string);
  'sustainedSeconds'?: (number);
}

export interface KitRun__Output {
  'kitDigest': (string);
  'sustainedSeconds': (number);
}
