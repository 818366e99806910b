// Original file: proto/espalier/v1/operator.proto

import type { Reference as _espalier_v1_Reference, Reference__Output as _espalier_v1_Reference__Output } from '../../espalier/v1/Reference.ts';

export interface ListReferencesResponse {
  'references'?: (_espalier_v1_Reference)[];
}

export interface ListReferencesResponse__Output {
  'references': (_espalier_v1_Reference__Output)[];
}
