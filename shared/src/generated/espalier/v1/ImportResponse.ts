// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface ImportResponse {
  'digest'?: (string);
  'name'?: (string);
  'sizeBytes'?: (number | string | Long);
  'alreadyKnown'?: (boolean);
}

export interface ImportResponse__Output {
  'digest': (string);
  'name': (string);
  'sizeBytes': (number);
  'alreadyKnown': (boolean);
}
