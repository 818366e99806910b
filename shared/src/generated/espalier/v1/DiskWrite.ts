// Original file: proto/espalier/v1/session.proto


export interface DiskWrite {
}

export interface DiskWrite__Output {
}
