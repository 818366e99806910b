// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';

export interface SearchModelEvent {
  'message'?: (string);
  'fraction'?: (number | string);
  'front'?: (_espalier_v1_Document | null);
}

export interface SearchModelEvent__Output {
  'message': (string);
  'fraction': (number);
  'front': (_espalier_v1_Document__Output | null);
}
