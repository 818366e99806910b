// Original file: proto/espalier/v1/operator.proto


export interface ListProfilesRequest {
  'device'?: (string);
}

export interface ListProfilesRequest__Output {
  'device': (string);
}
