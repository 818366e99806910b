// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';

export interface ListProfilesResponse {
  'profiles'?: (_espalier_v1_Document)[];
}

export interface ListProfilesResponse__Output {
  'profiles': (_espalier_v1_Document__Output)[];
}
