// Original file: proto/espalier/v1/operator.proto

import type { StoredTree as _espalier_v1_StoredTree, StoredTree__Output as _espalier_v1_StoredTree__Output } from '../../espalier/v1/StoredTree.ts';

export interface ListModelsResponse {
  'trees'?: (_espalier_v1_StoredTree)[];
}

export interface ListModelsResponse__Output {
  'trees': (_espalier_v1_StoredTree__Output)[];
}
