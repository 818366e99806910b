// Original file: proto/espalier/v1/operator.proto


export interface RevokeOperatorResponse {
}

export interface RevokeOperatorResponse__Output {
}
