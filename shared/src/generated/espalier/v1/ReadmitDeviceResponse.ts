// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface ReadmitDeviceResponse {
  'deviceId'?: (string);
  'untilMs'?: (number | string | Long);
}

export interface ReadmitDeviceResponse__Output {
  'deviceId': (string);
  'untilMs': (number);
}
