// Original file: proto/espalier/v1/operator.proto


export interface ListVariantsRequest {
  'model'?: (string);
  'variant'?: (string);
}

export interface ListVariantsRequest__Output {
  'model': (string);
  'variant': (string);
}
