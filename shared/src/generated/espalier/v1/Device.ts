// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';
import type { Long } from '@grpc/proto-loader';

export interface Device {
  'deviceId'?: (string);
  'name'?: (string);
  'labels'?: ({[key: string]: string});
  'online'?: (boolean);
  'lastSeenAtMs'?: (number | string | Long);
  'profile'?: (_espalier_v1_Document | null);
  'activeArtifactDigest'?: (string);
  'activeVariantName'?: (string);
  'state'?: (string);
  'stateReason'?: (string);
  'localApiUrl'?: (string);
  'inventory'?: (_espalier_v1_Document | null);
  'budget'?: (_espalier_v1_Document | null);
  'enforcement'?: (_espalier_v1_Document | null);
  'proof'?: (_espalier_v1_Document | null);
}

export interface Device__Output {
  'deviceId': (string);
  'name': (string);
  'labels': ({[key: string]: string});
  'online': (boolean);
  'lastSeenAtMs': (number);
  'profile': (_espalier_v1_Document__Output | null);
  'activeArtifactDigest': (string);
  'activeVariantName': (string);
  'state': (string);
  'stateReason': (string);
  'localApiUrl': (string);
  'inventory': (_espalier_v1_Document__Output | null);
  'budget': (_espalier_v1_Document__Output | null);
  'enforcement': (_espalier_v1_Document__Output | null);
  'proof': (_espalier_v1_Document__Output | null);
}
