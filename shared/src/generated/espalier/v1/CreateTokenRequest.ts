// Original file: proto/espalier/v1/operator.proto


export interface CreateTokenRequest {
  'lifetimeSeconds'?: (number);
  'labels'?: ({[key: string]: string});
}

export interface CreateTokenRequest__Output {
  'lifetimeSeconds': (number);
  'labels': ({[key: string]: string});
}
