// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';

export interface StartRolloutRequest {
  'spec'?: (_espalier_v1_Document | null);
  'dryRun'?: (boolean);
  'checkIndex'?: (string);
}

export interface StartRolloutRequest__Output {
  'spec': (_espalier_v1_Document__Output | null);
  'dryRun': (boolean);
  'checkIndex': (string);
}
