// Original file: proto/espalier/v1/document.proto


export interface Document {
  'contract'?: (string);
  'json'?: (string);
}

export interface Document__Output {
  'contract': (string);
  'json': (string);
}
