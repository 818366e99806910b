import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { EnrollRequest as _espalier_v1_EnrollRequest, EnrollRequest__Output as _espalier_v1_EnrollRequest__Output } from './espalier/v1/EnrollRequest.ts';
import type { EnrollResponse as _espalier_v1_EnrollResponse, EnrollResponse__Output as _espalier_v1_EnrollResponse__Output } from './espalier/v1/EnrollResponse.ts';
import type { EnrollmentClient as _espalier_v1_EnrollmentClient, EnrollmentDefinition as _espalier_v1_EnrollmentDefinition } from './espalier/v1/Enrollment.ts';
import type { ReadmitRequest as _espalier_v1_ReadmitRequest, ReadmitRequest__Output as _espalier_v1_ReadmitRequest__Output } from './espalier/v1/ReadmitRequest.ts';
import type { RenewedIdentity as _espalier_v1_RenewedIdentity, RenewedIdentity__Output as _espalier_v1_RenewedIdentity__Output } from './espalier/v1/RenewedIdentity.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  espalier: {
    v1: {
      EnrollRequest: MessageTypeDefinition<_espalier_v1_EnrollRequest, _espalier_v1_EnrollRequest__Output>
      EnrollResponse: MessageTypeDefinition<_espalier_v1_EnrollResponse, _espalier_v1_EnrollResponse__Output>
      Enrollment: SubtypeConstructor<typeof grpc.Client, _espalier_v1_EnrollmentClient> & { service: _espalier_v1_EnrollmentDefinition }
      ReadmitRequest: MessageTypeDefinition<_espalier_v1_ReadmitRequest, _espalier_v1_ReadmitRequest__Output>
      RenewedIdentity: MessageTypeDefinition<_espalier_v1_RenewedIdentity, _espalier_v1_RenewedIdentity__Output>
    }
  }
}

