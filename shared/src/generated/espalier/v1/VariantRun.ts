// Original file: proto/espalier/v1/session.proto


export interface VariantRun {
  'artifactDigest'?: (string);
  'promptTokens'?: (number);
  'outputTokens'?: (number);
}

export interface VariantRun__Output {
  'artifactDigest': (string);
  'promptTokens': (number);
  'outputTokens': (number);
}
