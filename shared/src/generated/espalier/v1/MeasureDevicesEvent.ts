// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';

export interface MeasureDevicesEvent {
  'deviceId'?: (string);
  'state'?: (string);
  'message'?: (string);
  'fraction'?: (number | string);
  'measurements'?: (_espalier_v1_Document | null);
}

export interface MeasureDevicesEvent__Output {
  'deviceId': (string);
  'state': (string);
  'message': (string);
  'fraction': (number);
  'measurements': (_espalier_v1_Document__Output | null);
}
