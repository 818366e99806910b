import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { CancelMeasurement as _espalier_v1_CancelMeasurement, CancelMeasurement__Output as _espalier_v1_CancelMeasurement__Output } from './espalier/v1/CancelMeasurement.ts';
import type { CoordinatorMessage as _espalier_v1_CoordinatorMessage, CoordinatorMessage__Output as _espalier_v1_CoordinatorMessage__Output } from './espalier/v1/CoordinatorMessage.ts';
import type { DeviceMessage as _espalier_v1_DeviceMessage, DeviceMessage__Output as _espalier_v1_DeviceMessage__Output } from './espalier/v1/DeviceMessage.ts';
import type { DeviceSessionClient as _espalier_v1_DeviceSessionClient, DeviceSessionDefinition as _espalier_v1_DeviceSessionDefinition } from './espalier/v1/DeviceSession.ts';
import type { DiskWrite as _espalier_v1_DiskWrite, DiskWrite__Output as _espalier_v1_DiskWrite__Output } from './espalier/v1/DiskWrite.ts';
import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from './espalier/v1/Document.ts';
import type { Download as _espalier_v1_Download, Download__Output as _espalier_v1_Download__Output } from './espalier/v1/Download.ts';
import type { EnrollRequest as _espalier_v1_EnrollRequest, EnrollRequest__Output as _espalier_v1_EnrollRequest__Output } from './espalier/v1/EnrollRequest.ts';
import type { EnrollResponse as _espalier_v1_EnrollResponse, EnrollResponse__Output as _espalier_v1_EnrollResponse__Output } from './espalier/v1/EnrollResponse.ts';
import type { EnrollmentClient as _espalier_v1_EnrollmentClient, EnrollmentDefinition as _espalier_v1_EnrollmentDefinition } from './espalier/v1/Enrollment.ts';
import type { Generation as _espalier_v1_Generation, Generation__Output as _espalier_v1_Generation__Output } from './espalier/v1/Generation.ts';
import type { Heartbeat as _espalier_v1_Heartbeat, Heartbeat__Output as _espalier_v1_Heartbeat__Output } from './espalier/v1/Heartbeat.ts';
import type { Hello as _espalier_v1_Hello, Hello__Output as _espalier_v1_Hello__Output } from './espalier/v1/Hello.ts';
import type { KitRun as _espalier_v1_KitRun, KitRun__Output as _espalier_v1_KitRun__Output } from './espalier/v1/KitRun.ts';
import type { LogLines as _espalier_v1_LogLines, LogLines__Output as _espalier_v1_LogLines__Output } from './espalier/v1/LogLines.ts';
import type { MeasureCommand as _espalier_v1_MeasureCommand, MeasureCommand__Output as _espalier_v1_MeasureCommand__Output } from './espalier/v1/MeasureCommand.ts';
import type { MeasurementItem as _espalier_v1_MeasurementItem, MeasurementItem__Output as _espalier_v1_MeasurementItem__Output } from './espalier/v1/MeasurementItem.ts';
import type { MeasurementUpdate as _espalier_v1_MeasurementUpdate, MeasurementUpdate__Output as _espalier_v1_MeasurementUpdate__Output } from './espalier/v1/MeasurementUpdate.ts';
import type { MemoryBandwidth as _espalier_v1_MemoryBandwidth, MemoryBandwidth__Output as _espalier_v1_MemoryBandwidth__Output } from './espalier/v1/MemoryBandwidth.ts';
import type { ReadLogs as _espalier_v1_ReadLogs, ReadLogs__Output as _espalier_v1_ReadLogs__Output } from './espalier/v1/ReadLogs.ts';
import type { ReadmitRequest as _espalier_v1_ReadmitRequest, ReadmitRequest__Output as _espalier_v1_ReadmitRequest__Output } from './espalier/v1/ReadmitRequest.ts';
import type { RenewRequest as _espalier_v1_RenewRequest, RenewRequest__Output as _espalier_v1_RenewRequest__Output } from './espalier/v1/RenewRequest.ts';
import type { RenewedIdentity as _espalier_v1_RenewedIdentity, RenewedIdentity__Output as _espalier_v1_RenewedIdentity__Output } from './espalier/v1/RenewedIdentity.ts';
import type { ReportAck as _espalier_v1_ReportAck, ReportAck__Output as _espalier_v1_ReportAck__Output } from './espalier/v1/ReportAck.ts';
import type { StatusReport as _espalier_v1_StatusReport, StatusReport__Output as _espalier_v1_StatusReport__Output } from './espalier/v1/StatusReport.ts';
import type { VariantRun as _espalier_v1_VariantRun, VariantRun__Output as _espalier_v1_VariantRun__Output } from './espalier/v1/VariantRun.ts';
import type { Vouch as _espalier_v1_Vouch, Vouch__Output as _espalier_v1_Vouch__Output } from './espalier/v1/Vouch.ts';
import type { Welcome as _espalier_v1_Welcome, Welcome__Output as _espalier_v1_Welcome__Output } from './espalier/v1/Welcome.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  espalier: {
    v1: {
      CancelMeasurement: MessageTypeDefinition<_espalier_v1_CancelMeasurement, _espalier_v1_CancelMeasurement__Output>
      CoordinatorMessage: MessageTypeDefinition<_espalier_v1_CoordinatorMessage, _espalier_v1_CoordinatorMessage__Output>
      DeviceMessage: MessageTypeDefinition<_espalier_v1_DeviceMessage, _espalier_v1_DeviceMessage__Output>
      DeviceSession: SubtypeConstructor<typeof grpc.Client, _espalier_v1_DeviceSessionClient> & { service: _espalier_v1_DeviceSessionDefinition }
      DiskWrite: MessageTypeDefinition<_espalier_v1_DiskWrite, _espalier_v1_DiskWrite__Output>
      Document: MessageTypeDefinition<_espalier_v1_Document, _espalier_v1_Document__Output>
      Download: MessageTypeDefinition<_espalier_v1_Download, _espalier_v1_Download__Output>
      EnrollRequest: MessageTypeDefinition<_espalier_v1_EnrollRequest, _espalier_v1_EnrollRequest__Output>
      EnrollResponse: MessageTypeDefinition<_espalier_v1_EnrollResponse, _espalier_v1_EnrollResponse__Output>
      Enrollment: SubtypeConstructor<typeof grpc.Client, _espalier_v1_EnrollmentClient> & { service: _espalier_v1_EnrollmentDefinition }
      Generation: MessageTypeDefinition<_espalier_v1_Generation, _espalier_v1_Generation__Output>
      Heartbeat: MessageTypeDefinition<_espalier_v1_Heartbeat, _espalier_v1_Heartbeat__Output>
      Hello: MessageTypeDefinition<_espalier_v1_Hello, _espalier_v1_Hello__Output>
      KitRun: MessageTypeDefinition<_espalier_v1_KitRun, _espalier_v1_KitRun__Output>
      LogLines: MessageTypeDefinition<_espalier_v1_LogLines, _espalier_v1_LogLines__Output>
      MeasureCommand: MessageTypeDefinition<_espalier_v1_MeasureCommand, _espalier_v1_MeasureCommand__Output>
      MeasurementItem: MessageTypeDefinition<_espalier_v1_MeasurementItem, _espalier_v1_MeasurementItem__Output>
      MeasurementUpdate: MessageTypeDefinition<_espalier_v1_MeasurementUpdate, _espalier_v1_MeasurementUpdate__Output>
      MemoryBandwidth: MessageTypeDefinition<_espalier_v1_MemoryBandwidth, _espalier_v1_MemoryBandwidth__Output>
      ReadLogs: MessageTypeDefinition<_espalier_v1_ReadLogs, _espalier_v1_ReadLogs__Output>
      ReadmitRequest: MessageTypeDefinition<_espalier_v1_ReadmitRequest, _espalier_v1_ReadmitRequest__Output>
      RenewRequest: MessageTypeDefinition<_espalier_v1_RenewRequest, _espalier_v1_RenewRequest__Output>
      RenewedIdentity: MessageTypeDefinition<_espalier_v1_RenewedIdentity, _espalier_v1_RenewedIdentity__Output>
      ReportAck: MessageTypeDefinition<_espalier_v1_ReportAck, _espalier_v1_ReportAck__Output>
      StatusReport: MessageTypeDefinition<_espalier_v1_StatusReport, _espalier_v1_StatusReport__Output>
      VariantRun: MessageTypeDefinition<_espalier_v1_VariantRun, _espalier_v1_VariantRun__Output>
      Vouch: MessageTypeDefinition<_espalier_v1_Vouch, _espalier_v1_Vouch__Output>
      Welcome: MessageTypeDefinition<_espalier_v1_Welcome, _espalier_v1_Welcome__Output>
    }
  }
}

