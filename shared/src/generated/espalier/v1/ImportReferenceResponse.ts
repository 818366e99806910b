// Original file: proto/espalier/v1/operator.proto


export interface ImportReferenceResponse {
}

export interface ImportReferenceResponse__Output {
}
