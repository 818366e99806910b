// Original file: proto/espalier/v1/enrollment.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { EnrollRequest as _espalier_v1_EnrollRequest, EnrollRequest__Output as _espalier_v1_EnrollRequest__Output } from '../../espalier/v1/EnrollRequest.ts';
import type { EnrollResponse as _espalier_v1_EnrollResponse, EnrollResponse__Output as _espalier_v1_EnrollResponse__Output } from '../../espalier/v1/EnrollResponse.ts';
import type { ReadmitRequest as _espalier_v1_ReadmitRequest, ReadmitRequest__Output as _espalier_v1_ReadmitRequest__Output } from '../../espalier/v1/ReadmitRequest.ts';
import type { RenewedIdentity as _espalier_v1_RenewedIdentity, RenewedIdentity__Output as _espalier_v1_RenewedIdentity__Output } from '../../espalier/v1/RenewedIdentity.ts';

export interface EnrollmentClient extends grpc.Client {
  Enroll(argument: _espalier_v1_EnrollRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  Enroll(argument: _espalier_v1_EnrollRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  Enroll(argument: _espalier_v1_EnrollRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  Enroll(argument: _espalier_v1_EnrollRequest, callback: grpc.requestCallback<_espalier_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  enroll(argument: _espalier_v1_EnrollRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  enroll(argument: _espalier_v1_EnrollRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  enroll(argument: _espalier_v1_EnrollRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  enroll(argument: _espalier_v1_EnrollRequest, callback: grpc.requestCallback<_espalier_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  
  Readmit(argument: _espalier_v1_ReadmitRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  Readmit(argument: _espalier_v1_ReadmitRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  Readmit(argument: _espalier_v1_ReadmitRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  Readmit(argument: _espalier_v1_ReadmitRequest, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  readmit(argument: _espalier_v1_ReadmitRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  readmit(argument: _espalier_v1_ReadmitRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  readmit(argument: _espalier_v1_ReadmitRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  readmit(argument: _espalier_v1_ReadmitRequest, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  
}

export interface EnrollmentHandlers extends grpc.UntypedServiceImplementation {
  Enroll: grpc.handleUnaryCall<_espalier_v1_EnrollRequest__Output, _espalier_v1_EnrollResponse>;
  
  Readmit: grpc.handleUnaryCall<_espalier_v1_ReadmitRequest__Output, _espalier_v1_RenewedIdentity>;
  
}

export interface EnrollmentDefinition extends grpc.ServiceDefinition {
  Enroll: MethodDefinition<_espalier_v1_EnrollRequest, _espalier_v1_EnrollResponse, _espalier_v1_EnrollRequest__Output, _espalier_v1_EnrollResponse__Output>
  Readmit: MethodDefinition<_espalier_v1_ReadmitRequest, _espalier_v1_RenewedIdentity, _espalier_v1_ReadmitRequest__Output, _espalier_v1_RenewedIdentity__Output>
}
