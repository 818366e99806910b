// Original file: proto/espalier/v1/operator.proto

import type { AuditEntry as _espalier_v1_AuditEntry, AuditEntry__Output as _espalier_v1_AuditEntry__Output } from '../../espalier/v1/AuditEntry.ts';

export interface ListAuditResponse {
  'entries'?: (_espalier_v1_AuditEntry)[];
}

export interface ListAuditResponse__Output {
  'entries': (_espalier_v1_AuditEntry__Output)[];
}
