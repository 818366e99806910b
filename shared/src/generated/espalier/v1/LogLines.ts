// Original file: proto/espalier/v1/session.proto

import type { Long } from '@grpc/proto-loader';

export interface LogLines {
  'requestId'?: (string);
  'lines'?: (string)[];
  'next'?: (number | string | Long);
  'missed'?: (number | string | Long);
}

export interface LogLines__Output {
  'requestId': (string);
  'lines': (string)[];
  'next': (number);
  'missed': (number);
}
