// Original file: proto/espalier/v1/operator.proto


export interface MeasureDevicesRequest {
  'selector'?: (string);
  'model'?: (string);
  'variantDigest'?: (string);
  'promptTokens'?: (number);
  'outputTokens'?: (number);
  'sustainedSeconds'?: (number);
}

export interface MeasureDevicesRequest__Output {
  'selector': (string);
  'model': (string);
  'variantDigest': (string);
  'promptTokens': (number);
  'outputTokens': (number);
  'sustainedSeconds': (number);
}
