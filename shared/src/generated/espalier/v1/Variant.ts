// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';
import type { Long } from '@grpc/proto-loader';

export interface Variant {
  'artifactDigest'?: (string);
  'name'?: (string);
  'modelName'?: (string);
  'totalBytes'?: (number | string | Long);
  'builtAtMs'?: (number | string | Long);
  'report'?: (_espalier_v1_Document | null);
  'manifest'?: (_espalier_v1_Document | null);
  'devicesActive'?: (number);
  'wireBytes'?: (number | string | Long);
}

export interface Variant__Output {
  'artifactDigest': (string);
  'name': (string);
  'modelName': (string);
  'totalBytes': (number);
  'builtAtMs': (number);
  'report': (_espalier_v1_Document__Output | null);
  'manifest': (_espalier_v1_Document__Output | null);
  'devicesActive': (number);
  'wireBytes': (number);
}
