// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface CreateTokenResponse {
  'token'?: (string);
  'expiresAtMs'?: (number | string | Long);
  'authorityPem'?: (string);
  'enrollmentAddress'?: (string);
}

export interface CreateTokenResponse__Output {
  'token': (string);
  'expiresAtMs': (number);
  'authorityPem': (string);
  'enrollmentAddress': (string);
}
