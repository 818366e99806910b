// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface DeviceLogLines {
  'lines'?: (string)[];
  'missed'?: (number | string | Long);
}

export interface DeviceLogLines__Output {
  'lines': (string)[];
  'missed': (number);
}
