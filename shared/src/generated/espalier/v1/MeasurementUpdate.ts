// Original file: proto/espalier/v1/session.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';

// Original file: proto/espalier/v1/session.proto

export const _espalier_v1_MeasurementUpdate_State = {
  STATE_UNSPECIFIED: 'STATE_UNSPECIFIED',
  STATE_WAITING: 'STATE_WAITING',
  STATE_RUNNING: 'STATE_RUNNING',
  STATE_SUCCEEDED: 'STATE_SUCCEEDED',
  STATE_FAILED: 'STATE_FAILED',
  STATE_CANCELLED: 'STATE_CANCELLED',
} as const;

export type _espalier_v1_MeasurementUpdate_State =
  | 'STATE_UNSPECIFIED'
  | 0
  | 'STATE_WAITING'
  | 1
  | 'STATE_RUNNING'
  | 2
  | 'STATE_SUCCEEDED'
  | 3
  | 'STATE_FAILED'
  | 4
  | 'STATE_CANCELLED'
  | 5

export type _espalier_v1_MeasurementUpdate_State__Output = typeof _espalier_v1_MeasurementUpdate_State[keyof typeof _espalier_v1_MeasurementUpdate_State]

export interface MeasurementUpdate {
  'commandId'?: (string);
  'state'?: (_espalier_v1_MeasurementUpdate_State);
  'message'?: (string);
  'fraction'?: (number | string);
  'measurements'?: (_espalier_v1_Document | null);
}

export interface MeasurementUpdate__Output {
  'commandId': (string);
  'state': (_espalier_v1_MeasurementUpdate_State__Output);
  'message': (string);
  'fraction': (number);
  'measurements': (_espalier_v1_Document__Output | null);
}
