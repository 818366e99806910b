// Original file: proto/espalier/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface GetStatusResponse {
  'version'?: (string);
  'httpUrl'?: (string);
  'enrollmentAddress'?: (string);
  'natsUrls'?: (string)[];
  'devicesOnline'?: (number);
  'devicesTotal'?: (number);
  'buildersSeen'?: (number);
  'operator'?: (string);
  'role'?: (string);
  'nowMs'?: (number | string | Long);
}

export interface GetStatusResponse__Output {
  'version': (string);
  'httpUrl': (string);
  'enrollmentAddress': (string);
  'natsUrls': (string)[];
  'devicesOnline': (number);
  'devicesTotal': (number);
  'buildersSeen': (number);
  'operator': (string);
  'role': (string);
  'nowMs': (number);
}
