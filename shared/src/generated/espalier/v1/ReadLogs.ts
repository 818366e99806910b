// Original file: proto/espalier/v1/session.proto

import type { Long } from '@grpc/proto-loader';

export interface ReadLogs {
  'requestId'?: (string);
  'after'?: (number | string | Long);
  'lines'?: (number);
}

export interface ReadLogs__Output {
  'requestId': (string);
  'after': (number);
  'lines': (number);
}
