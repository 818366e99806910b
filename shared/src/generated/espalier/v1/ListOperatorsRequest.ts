// Original file: proto/espalier/v1/operator.proto


export interface ListOperatorsRequest {
}

export interface ListOperatorsRequest__Output {
}
