// Original file: proto/espalier/v1/operator.proto


export interface DiagnoseRequest {
}

export interface DiagnoseRequest__Output {
}
