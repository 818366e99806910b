// Original file: proto/espalier/v1/operator.proto


export interface SearchModelRequest {
  'model'?: (string);
  'calibration'?: (string);
  'evaluation'?: (string);
  'floor'?: (string);
  'methods'?: (string)[];
  'mostSparsity'?: (number | string);
  'trials'?: (number);
  'kvCache'?: (string);
}

export interface SearchModelRequest__Output {
  'model': (string);
  'calibration': (string);
  'evaluation': (string);
  'floor': (string);
  'methods': (string)[];
  'mostSparsity': (number);
  'trials': (number);
  'kvCache': (string);
}
