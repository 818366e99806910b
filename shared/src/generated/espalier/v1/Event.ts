// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface Event {
  'id'?: (string);
  'atMs'?: (number | string | Long);
  'deviceId'?: (string);
  'deviceName'?: (string);
  'rolloutId'?: (string);
  'kind'?: (string);
  'message'?: (string);
  'dataJson'?: (string);
}

export interface Event__Output {
  'id': (string);
  'atMs': (number);
  'deviceId': (string);
  'deviceName': (string);
  'rolloutId': (string);
  'kind': (string);
  'message': (string);
  'dataJson': (string);
}
