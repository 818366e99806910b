// Original file: proto/espalier/v1/operator.proto

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from '../../espalier/v1/Document.ts';

export interface ListCorrectionsResponse {
  'corrections'?: (_espalier_v1_Document)[];
}

export interface ListCorrectionsResponse__Output {
  'corrections': (_espalier_v1_Document__Output)[];
}
