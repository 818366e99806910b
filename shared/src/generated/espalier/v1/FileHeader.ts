// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface FileHeader {
  'path'?: (string);
  'sizeBytes'?: (number | string | Long);
}

export interface FileHeader__Output {
  'path': (string);
  'sizeBytes': (number);
}
