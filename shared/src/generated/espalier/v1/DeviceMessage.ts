// Original file: proto/espalier/v1/session.proto

import type { Hello as _espalier_v1_Hello, Hello__Output as _espalier_v1_Hello__Output } from '../../espalier/v1/Hello.ts';
import type { Heartbeat as _espalier_v1_Heartbeat, Heartbeat__Output as _espalier_v1_Heartbeat__Output } from '../../espalier/v1/Heartbeat.ts';
import type { MeasurementUpdate as _espalier_v1_MeasurementUpdate, MeasurementUpdate__Output as _espalier_v1_MeasurementUpdate__Output } from '../../espalier/v1/MeasurementUpdate.ts';
import type { StatusReport as _espalier_v1_StatusReport, StatusReport__Output as _espalier_v1_StatusReport__Output } from '../../espalier/v1/StatusReport.ts';
import type { LogLines as _espalier_v1_LogLines, LogLines__Output as _espalier_v1_LogLines__Output } from '../../espalier/v1/LogLines.ts';

export interface DeviceMessage {
  'hello'?: (_espalier_v1_Hello | null);
  'heartbeat'?: (_espalier_v1_Heartbeat | null);
  'measurement'?: (_espalier_v1_MeasurementUpdate | null);
  'status'?: (_espalier_v1_StatusReport | null);
  'logs'?: (_espalier_v1_LogLines | null);
  'body'?: "hello"|"heartbeat"|"measurement"|"status"|"logs";
}

export interface DeviceMessage__Output {
  'hello'?: (_espalier_v1_Hello__Output | null);
  'heartbeat'?: (_espalier_v1_Heartbeat__Output | null);
  'measurement'?: (_espalier_v1_MeasurementUpdate__Output | null);
  'status'?: (_espalier_v1_StatusReport__Output | null);
  'logs'?: (_espalier_v1_LogLines__Output | null);
  'body'?: "hello"|"heartbeat"|"measurement"|"status"|"logs";
}
