// Original file: proto/espalier/v1/operator.proto

import type { Device as _espalier_v1_Device, Device__Output as _espalier_v1_Device__Output } from '../../espalier/v1/Device.ts';

export interface ListDevicesResponse {
  'devices'?: (_espalier_v1_Device)[];
}

export interface ListDevicesResponse__Output {
  'devices': (_espalier_v1_Device__Output)[];
}
