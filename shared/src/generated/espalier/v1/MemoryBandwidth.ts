// Original file: proto/espalier/v1/session.proto


export interface MemoryBandwidth {
}

export interface MemoryBandwidth__Output {
}
