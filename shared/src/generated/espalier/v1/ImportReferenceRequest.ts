// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';

export interface ImportReferenceRequest {
  'name'?: (string);
  'profile'?: (_espalier_v1_Document | null);
}

export interface ImportReferenceRequest__Output {
  'name': (string);
  'profile': (_espalier_v1_Document__Output | null);
}
