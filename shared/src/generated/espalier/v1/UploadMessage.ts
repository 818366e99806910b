// Original file: proto/espalier/v1/operator.proto

import type { TreeHeader as _espalier_v1_TreeHeader, TreeHeader__Output as _espalier_v1_TreeHeader__Output } from '../../espalier/v1/TreeHeader.ts';
import type { FileHeader as _espalier_v1_FileHeader, FileHeader__Output as _espalier_v1_FileHeader__Output } from '../../espalier/v1/FileHeader.ts';

export interface UploadMessage {
  'tree'?: (_espalier_v1_TreeHeader | null);
  'file'?: (_espalier_v1_FileHeader | null);
  'data'?: (Buffer | Uint8Array | string);
  'body'?: "tree"|"file"|"data";
}

export interface UploadMessage__Output {
  'tree'?: (_espalier_v1_TreeHeader__Output | null);
  'file'?: (_espalier_v1_FileHeader__Output | null);
  'data'?: (Buffer);
  'body'?: "tree"|"file"|"data";
}
