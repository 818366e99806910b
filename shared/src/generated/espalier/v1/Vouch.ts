// Original file: proto/espalier/v1/session.proto

import type { Generation as _espalier_v1_Generation, Generation__Output as _espalier_v1_Generation__Output } from '../../espalier/v1/Generation.ts';

export interface Vouch {
  'generation'?: (_espalier_v1_Generation | null);
  'artifactDigest'?: (string);
}

export interface Vouch__Output {
  'generation': (_espalier_v1_Generation__Output | null);
  'artifactDigest': (string);
}
