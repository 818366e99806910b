// Original file: proto/espalier/v1/operator.proto


export interface ProfileModelRequest {
  'model'?: (string);
  'evaluation'?: (string);
  'device'?: (string);
  'format'?: (string);
  'contextTokens'?: (number);
}

export interface ProfileModelRequest__Output {
  'model': (string);
  'evaluation': (string);
  'device': (string);
  'format': (string);
  'contextTokens': (number);
}
