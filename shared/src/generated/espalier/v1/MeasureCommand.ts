// Original file: proto/espalier/v1/session.proto

import type { MeasurementItem as _espalier_v1_MeasurementItem, MeasurementItem__Output as _espalier_v1_MeasurementItem__Output } from '../../espalier/v1/MeasurementItem.ts';

export interface MeasureCommand {
  'commandId'?: (string);
  'items'?: (_espalier_v1_MeasurementItem)[];
}

export interface MeasureCommand__Output {
  'commandId': (string);
  'items': (_espalier_v1_MeasurementItem__Output)[];
}
