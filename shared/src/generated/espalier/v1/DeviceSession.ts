// Original file: proto/espalier/v1/session.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CoordinatorMessage as _espalier_v1_CoordinatorMessage, CoordinatorMessage__Output as _espalier_v1_CoordinatorMessage__Output } from '../../espalier/v1/CoordinatorMessage.ts';
import type { DeviceMessage as _espalier_v1_DeviceMessage, DeviceMessage__Output as _espalier_v1_DeviceMessage__Output } from '../../espalier/v1/DeviceMessage.ts';

export interface DeviceSessionClient extends grpc.Client {
  Connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage__Output>;
  Connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage__Output>;
  connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage__Output>;
  connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage__Output>;
  
}

export interface DeviceSessionHandlers extends grpc.UntypedServiceImplementation {
  Connect: grpc.handleBidiStreamingCall<_espalier_v1_DeviceMessage__Output, _espalier_v1_CoordinatorMessage>;
  
}

export interface DeviceSessionDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_espalier_v1_DeviceMessage, _espalier_v1_CoordinatorMessage, _espalier_v1_DeviceMessage__Output, _espalier_v1_CoordinatorMessage__Output>
}
