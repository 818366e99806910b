// Original file: proto/espalier/v1/operator.proto

import type { OperatorAccount as _espalier_v1_OperatorAccount, OperatorAccount__Output as _espalier_v1_OperatorAccount__Output } from '../../espalier/v1/OperatorAccount.ts';

export interface ListOperatorsResponse {
  'operators'?: (_espalier_v1_OperatorAccount)[];
}

export interface ListOperatorsResponse__Output {
  'operators': (_espalier_v1_OperatorAccount__Output)[];
}
