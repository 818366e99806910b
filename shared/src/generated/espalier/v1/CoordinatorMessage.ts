// Original file: proto/espalier/v1/session.proto

import type { Welcome as _espalier_v1_Welcome, Welcome__Output as _espalier_v1_Welcome__Output } from '../../espalier/v1/Welcome.ts';
import type { MeasureCommand as _espalier_v1_MeasureCommand, MeasureCommand__Output as _espalier_v1_MeasureCommand__Output } from '../../espalier/v1/MeasureCommand.ts';
import type { CancelMeasurement as _espalier_v1_CancelMeasurement, CancelMeasurement__Output as _espalier_v1_CancelMeasurement__Output } from '../../espalier/v1/CancelMeasurement.ts';
import type { Vouch as _espalier_v1_Vouch, Vouch__Output as _espalier_v1_Vouch__Output } from '../../espalier/v1/Vouch.ts';
import type { ReportAck as _espalier_v1_ReportAck, ReportAck__Output as _espalier_v1_ReportAck__Output } from '../../espalier/v1/ReportAck.ts';
import type { ReadLogs as _espalier_v1_ReadLogs, ReadLogs__Output as _espalier_v1_ReadLogs__Output } from '../../espalier/v1/ReadLogs.ts';

export interface CoordinatorMessage {
  'welcome'?: (_espalier_v1_Welcome | null);
  'measure'?: (_espalier_v1_MeasureCommand | null);
  'cancelMeasurement'?: (_espalier_v1_CancelMeasurement | null);
  'vouch'?: (_espalier_v1_Vouch | null);
  'reportAck'?: (_espalier_v1_ReportAck | null);
  'readLogs'?: (_espalier_v1_ReadLogs | null);
  'body'?: "welcome"|"measure"|"cancelMeasurement"|"vouch"|"reportAck"|"readLogs";
}

export interface CoordinatorMessage__Output {
  'welcome'?: (_espalier_v1_Welcome__Output | null);
  'measure'?: (_espalier_v1_MeasureCommand__Output | null);
  'cancelMeasurement'?: (_espalier_v1_CancelMeasurement__Output | null);
  'vouch'?: (_espalier_v1_Vouch__Output | null);
  'reportAck'?: (_espalier_v1_ReportAck__Output | null);
  'readLogs'?: (_espalier_v1_ReadLogs__Output | null);
  'body'?: "welcome"|"measure"|"cancelMeasurement"|"vouch"|"reportAck"|"readLogs";
}
