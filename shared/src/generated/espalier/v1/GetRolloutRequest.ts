// Original file: proto/espalier/v1/operator.proto


export interface GetRolloutRequest {
  'rollout'?: (string);
}

export interface GetRolloutRequest__Output {
  'rollout': (string);
}
