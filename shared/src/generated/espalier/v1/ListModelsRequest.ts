// Original file: proto/espalier/v1/operator.proto


export interface ListModelsRequest {
}

export interface ListModelsRequest__Output {
}
