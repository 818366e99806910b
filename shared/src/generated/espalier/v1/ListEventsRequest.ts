// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface ListEventsRequest {
  'device'?: (string);
  'rollout'?: (string);
  'sinceMs'?: (number | string | Long);
  'limit'?: (number);
}

export interface ListEventsRequest__Output {
  'device': (string);
  'rollout': (string);
  'sinceMs': (number);
  'limit': (number);
}
