// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface ListAuditRequest {
  'sinceMs'?: (number | string | Long);
  'limit'?: (number);
  'who'?: (string);
}

export interface ListAuditRequest__Output {
  'sinceMs': (number);
  'limit': (number);
  'who': (string);
}
