// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';

export interface PlanEvent {
  'message'?: (string);
  'fraction'?: (number | string);
  'plan'?: (_espalier_v1_Document | null);
}

export interface PlanEvent__Output {
  'message': (string);
  'fraction': (number);
  'plan': (_espalier_v1_Document__Output | null);
}
