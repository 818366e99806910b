// Original file: proto/espalier/v1/operator.proto


export interface GetStatusResponse {
  'version'?: (string);
  'httpUrl'?: (string);
  'enrollmentAddress'?: (string);
  'natsUrls'?: (string)[];
  'devicesOnline'?: (number);
  'devicesTotal'?: (number);
  'buildersSeen'?: (number);
}

export interface GetStatusResponse__Output {
  'version': (string);
  'httpUrl': (string);
  'enrollmentAddress': (string);
  'natsUrls': (string)[];
  'devicesOnline': (number);
  'devicesTotal': (number);
  'buildersSeen': (number);
}
