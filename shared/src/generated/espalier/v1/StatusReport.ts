// Original file: proto/espalier/v1/session.proto

import type { Generation as _espalier_v1_Generation, Generation__Output as _espalier_v1_Generation__Output } from '../../espalier/v1/Generation.ts';
import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';
import type { Long } from '@grpc/proto-loader';

// Original file: proto/espalier/v1/session.proto

export const _espalier_v1_StatusReport_State = {
  STATE_UNSPECIFIED: 'STATE_UNSPECIFIED',
  STATE_ASSIGNED: 'STATE_ASSIGNED',
  STATE_DOWNLOADING: 'STATE_DOWNLOADING',
  STATE_VERIFYING: 'STATE_VERIFYING',
  STATE_PROVING: 'STATE_PROVING',
  STATE_ACTIVE: 'STATE_ACTIVE',
  STATE_FAILED: 'STATE_FAILED',
  STATE_IDLE: 'STATE_IDLE',
} as const;

export type _espalier_v1_StatusReport_State =
  | 'STATE_UNSPECIFIED'
  | 0
  | 'STATE_ASSIGNED'
  | 1
  | 'STATE_DOWNLOADING'
  | 2
  | 'STATE_VERIFYING'
  | 3
  | 'STATE_PROVING'
  | 4
  | 'STATE_ACTIVE'
  | 5
  | 'STATE_FAILED'
  | 6
  | 'STATE_IDLE'
  | 7

export type _espalier_v1_StatusReport_State__Output = typeof _espalier_v1_StatusReport_State[keyof typeof _espalier_v1_StatusReport_State]

export interface StatusReport {
  'reportId'?: (string);
  'generation'?: (_espalier_v1_Generation | null);
  'artifactDigest'?: (string);
  'state'?: (_espalier_v1_StatusReport_State);
  'reason'?: (string);
  'atMs'?: (number | string | Long);
  'downloadedBytes'?: (number | string | Long);
  'totalBytes'?: (number | string | Long);
  'proof'?: (_espalier_v1_Document | null);
}

export interface StatusReport__Output {
  'reportId': (string);
  'generation': (_espalier_v1_Generation__Output | null);
  'artifactDigest': (string);
  'state': (_espalier_v1_StatusReport_State__Output);
  'reason': (string);
  'atMs': (number);
  'downloadedBytes': (number);
  'totalBytes': (number);
  'proof': (_espalier_v1_Document__Output | null);
}
