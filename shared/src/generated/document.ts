import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from './espalier/v1/Document.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  espalier: {
    v1: {
      Document: MessageTypeDefinition<_espalier_v1_Document, _espalier_v1_Document__Output>
    }
  }
}

