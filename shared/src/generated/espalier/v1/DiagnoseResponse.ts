// Original file: proto/espalier/v1/operator.proto

import type { Finding as _espalier_v1_Finding, Finding__Output as _espalier_v1_Finding__Output } from '../../espalier/v1/Finding.ts';

export interface DiagnoseResponse {
  'findings'?: (_espalier_v1_Finding)[];
}

export interface DiagnoseResponse__Output {
  'findings': (_espalier_v1_Finding__Output)[];
}
