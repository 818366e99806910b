// Original file: proto/espalier/v1/session.proto

import type { Long } from '@grpc/proto-loader';

export interface Generation {
  'epoch'?: (number | string | Long);
  'n'?: (number | string | Long);
}

export interface Generation__Output {
  'epoch': (number);
  'n': (number);
}
