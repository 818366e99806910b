// Original file: proto/espalier/v1/operator.proto


export interface LabelDeviceResponse {
  'labels'?: ({[key: string]: string});
}

export interface LabelDeviceResponse__Output {
  'labels': ({[key: string]: string});
}
