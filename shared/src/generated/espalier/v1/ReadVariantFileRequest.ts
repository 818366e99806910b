// Original file: proto/espalier/v1/operator.proto


export interface ReadVariantFileRequest {
  'artifactDigest'?: (string);
  'path'?: (string);
}

export interface ReadVariantFileRequest__Output {
  'artifactDigest': (string);
  'path': (string);
}
