// Original file: proto/espalier/v1/operator.proto


export interface ListCorrectionsRequest {
}

export interface ListCorrectionsRequest__Output {
}
