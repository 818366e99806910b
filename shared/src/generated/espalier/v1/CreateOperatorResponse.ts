// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface CreateOperatorResponse {
  'certificatePem'?: (string);
  'keyPem'?: (string);
  'authorityPem'?: (string);
  'operatorAddress'?: (string);
  'expiresAtMs'?: (number | string | Long);
}

export interface CreateOperatorResponse__Output {
  'certificatePem': (string);
  'keyPem': (string);
  'authorityPem': (string);
  'operatorAddress': (string);
  'expiresAtMs': (number);
}
