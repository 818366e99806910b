// Original file: proto/espalier/v1/session.proto


export interface ReportAck {
  'reportId'?: (string);
}

export interface ReportAck__Output {
  'reportId': (string);
}
