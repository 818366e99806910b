// Original file: proto/espalier/v1/operator.proto


export interface WhatIf {
  'reference'?: (string);
  'count'?: (number);
}

export interface WhatIf__Output {
  'reference': (string);
  'count': (number);
}
