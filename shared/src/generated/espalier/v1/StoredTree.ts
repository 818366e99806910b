// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface StoredTree {
  'digest'?: (string);
  'name'?: (string);
  'kind'?: (string);
  'sizeBytes'?: (number | string | Long);
  'importedAtMs'?: (number | string | Long);
}

export interface StoredTree__Output {
  'digest': (string);
  'name': (string);
  'kind': (string);
  'sizeBytes': (number);
  'importedAtMs': (number);
}
