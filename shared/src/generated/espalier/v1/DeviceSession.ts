// Original file: proto/espalier/v1/session.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CoordinatorMessage as _espalier_v1_CoordinatorMessage, CoordinatorMessage__Output as _espalier_v1_CoordinatorMessage__Output } from '../../espalier/v1/CoordinatorMessage.ts';
import type { DeviceMessage as _espalier_v1_DeviceMessage, DeviceMessage__Output as _espalier_v1_DeviceMessage__Output } from '../../espalier/v1/DeviceMessage.ts';
import type { RenewRequest as _espalier_v1_RenewRequest, RenewRequest__Output as _espalier_v1_RenewRequest__Output } from '../../espalier/v1/RenewRequest.ts';
import type { RenewedIdentity as _espalier_v1_RenewedIdentity, RenewedIdentity__Output as _espalier_v1_RenewedIdentity__Output } from '../../espalier/v1/RenewedIdentity.ts';

export interface DeviceSessionClient extends grpc.Client {
  Connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage__Output>;
  Connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage__Output>;
  connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage__Output>;
  connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage__Output>;
  
  Renew(argument: _espalier_v1_RenewRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  Renew(argument: _espalier_v1_RenewRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  Renew(argument: _espalier_v1_RenewRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  Renew(argument: _espalier_v1_RenewRequest, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  renew(argument: _espalier_v1_RenewRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  renew(argument: _espalier_v1_RenewRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  renew(argument: _espalier_v1_RenewRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  renew(argument: _espalier_v1_RenewRequest, callback: grpc.requestCallback<_espalier_v1_RenewedIdentity__Output>): grpc.ClientUnaryCall;
  
}

export interface DeviceSessionHandlers extends grpc.UntypedServiceImplementation {
  Connect: grpc.handleBidiStreamingCall<_espalier_v1_DeviceMessage__Output, _espalier_v1_CoordinatorMessage>;
  
  Renew: grpc.handleUnaryCall<_espalier_v1_RenewRequest__Output, _espalier_v1_RenewedIdentity>;
  
}

export interface DeviceSessionDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage, _espalier_v1_DeviceMessage__Output, _espalier_v1_CoordinatorMessage__Output>
  Renew: MethodDefinition<_espalier_v1_RenewRequest, _espalier_v1_RenewedIdentity, _espalier_v1_RenewRequest__Output, _espalier_v1_RenewedIdentity__Output>
}
