// Original file: proto/espalier/v1/operator.proto


export interface ListReferencesRequest {
}

export interface ListReferencesRequest__Output {
}
