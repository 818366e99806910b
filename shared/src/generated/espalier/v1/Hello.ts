// Original file: proto/espalier/v1/session.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';
import type { Generation as _espalier_v1_Generation, Generation__Output as _espalier_v1_Generation__Output } from '../../espalier/v1/Generation.ts';

export interface Hello {
  'inventory'?: (_espalier_v1_Document | null);
  'budget'?: (_espalier_v1_Document | null);
  'enforcement'?: (_espalier_v1_Document | null);
  'generation'?: (_espalier_v1_Generation | null);
  'activeArtifactDigest'?: (string);
  'localApiUrl'?: (string);
}

export interface Hello__Output {
  'inventory': (_espalier_v1_Document__Output | null);
  'budget': (_espalier_v1_Document__Output | null);
  'enforcement': (_espalier_v1_Document__Output | null);
  'generation': (_espalier_v1_Generation__Output | null);
  'activeArtifactDigest': (string);
  'localApiUrl': (string);
}
