// Original file: proto/espalier/v1/operator.proto

import type { Variant as _espalier_v1_Variant, Variant__Output as _espalier_v1_Variant__Output } from '../../espalier/v1/Variant.ts';

export interface ListVariantsResponse {
  'variants'?: (_espalier_v1_Variant)[];
}

export interface ListVariantsResponse__Output {
  'variants': (_espalier_v1_Variant__Output)[];
}
