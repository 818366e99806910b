// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface OperatorAccount {
  'name'?: (string);
  'role'?: (string);
  'createdAtMs'?: (number | string | Long);
  'createdBy'?: (string);
  'expiresAtMs'?: (number | string | Long);
  'revokedAtMs'?: (number | string | Long);
}

export interface OperatorAccount__Output {
  'name': (string);
  'role': (string);
  'createdAtMs': (number);
  'createdBy': (string);
  'expiresAtMs': (number);
  'revokedAtMs': (number);
}
