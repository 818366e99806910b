// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface AuditEntry {
  'atMs'?: (number | string | Long);
  'who'?: (string);
  'action'?: (string);
  'target'?: (string);
  'outcome'?: (string);
  'detail'?: (string);
}

export interface AuditEntry__Output {
  'atMs': (number);
  'who': (string);
  'action': (string);
  'target': (string);
  'outcome': (string);
  'detail': (string);
}
