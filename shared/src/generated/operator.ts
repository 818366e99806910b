import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { AuditEntry as _espalier_v1_AuditEntry, AuditEntry__Output as _espalier_v1_AuditEntry__Output } from './espalier/v1/AuditEntry.ts';
import type { ControlRolloutRequest as _espalier_v1_ControlRolloutRequest, ControlRolloutRequest__Output as _espalier_v1_ControlRolloutRequest__Output } from './espalier/v1/ControlRolloutRequest.ts';
import type { CreateOperatorRequest as _espalier_v1_CreateOperatorRequest, CreateOperatorRequest__Output as _espalier_v1_CreateOperatorRequest__Output } from './espalier/v1/CreateOperatorRequest.ts';
import type { CreateOperatorResponse as _espalier_v1_CreateOperatorResponse, CreateOperatorResponse__Output as _espalier_v1_CreateOperatorResponse__Output } from './espalier/v1/CreateOperatorResponse.ts';
import type { CreateTokenRequest as _espalier_v1_CreateTokenRequest, CreateTokenRequest__Output as _espalier_v1_CreateTokenRequest__Output } from './espalier/v1/CreateTokenRequest.ts';
import type { CreateTokenResponse as _espalier_v1_CreateTokenResponse, CreateTokenResponse__Output as _espalier_v1_CreateTokenResponse__Output } from './espalier/v1/CreateTokenResponse.ts';
import type { DecommissionDeviceRequest as _espalier_v1_DecommissionDeviceRequest, DecommissionDeviceRequest__Output as _espalier_v1_DecommissionDeviceRequest__Output } from './espalier/v1/DecommissionDeviceRequest.ts';
import type { DecommissionDeviceResponse as _espalier_v1_DecommissionDeviceResponse, DecommissionDeviceResponse__Output as _espalier_v1_DecommissionDeviceResponse__Output } from './espalier/v1/DecommissionDeviceResponse.ts';
import type { Device as _espalier_v1_Device, Device__Output as _espalier_v1_Device__Output } from './espalier/v1/Device.ts';
import type { DeviceLogLines as _espalier_v1_DeviceLogLines, DeviceLogLines__Output as _espalier_v1_DeviceLogLines__Output } from './espalier/v1/DeviceLogLines.ts';
import type { DiagnoseRequest as _espalier_v1_DiagnoseRequest, DiagnoseRequest__Output as _espalier_v1_DiagnoseRequest__Output } from './espalier/v1/DiagnoseRequest.ts';
import type { DiagnoseResponse as _espalier_v1_DiagnoseResponse, DiagnoseResponse__Output as _espalier_v1_DiagnoseResponse__Output } from './espalier/v1/DiagnoseResponse.ts';
import type { Document as _espalier_v1_Document, Document__Output as _espalier_v1_Document__Output } from './espalier/v1/Document.ts';
import type { Event as _espalier_v1_Event, Event__Output as _espalier_v1_Event__Output } from './espalier/v1/Event.ts';
import type { FileData as _espalier_v1_FileData, FileData__Output as _espalier_v1_FileData__Output } from './espalier/v1/FileData.ts';
import type { FileHeader as _espalier_v1_FileHeader, FileHeader__Output as _espalier_v1_FileHeader__Output } from './espalier/v1/FileHeader.ts';
import type { Finding as _espalier_v1_Finding, Finding__Output as _espalier_v1_Finding__Output } from './espalier/v1/Finding.ts';
import type { GetRolloutRequest as _espalier_v1_GetRolloutRequest, GetRolloutRequest__Output as _espalier_v1_GetRolloutRequest__Output } from './espalier/v1/GetRolloutRequest.ts';
import type { GetStatusRequest as _espalier_v1_GetStatusRequest, GetStatusRequest__Output as _espalier_v1_GetStatusRequest__Output } from './espalier/v1/GetStatusRequest.ts';
import type { GetStatusResponse as _espalier_v1_GetStatusResponse, GetStatusResponse__Output as _espalier_v1_GetStatusResponse__Output } from './espalier/v1/GetStatusResponse.ts';
import type { ImportReferenceRequest as _espalier_v1_ImportReferenceRequest, ImportReferenceRequest__Output as _espalier_v1_ImportReferenceRequest__Output } from './espalier/v1/ImportReferenceRequest.ts';
import type { ImportReferenceResponse as _espalier_v1_ImportReferenceResponse, ImportReferenceResponse__Output as _espalier_v1_ImportReferenceResponse__Output } from './espalier/v1/ImportReferenceResponse.ts';
import type { ImportResponse as _espalier_v1_ImportResponse, ImportResponse__Output as _espalier_v1_ImportResponse__Output } from './espalier/v1/ImportResponse.ts';
import type { LabelDeviceRequest as _espalier_v1_LabelDeviceRequest, LabelDeviceRequest__Output as _espalier_v1_LabelDeviceRequest__Output } from './espalier/v1/LabelDeviceRequest.ts';
import type { LabelDeviceResponse as _espalier_v1_LabelDeviceResponse, LabelDeviceResponse__Output as _espalier_v1_LabelDeviceResponse__Output } from './espalier/v1/LabelDeviceResponse.ts';
import type { ListAuditRequest as _espalier_v1_ListAuditRequest, ListAuditRequest__Output as _espalier_v1_ListAuditRequest__Output } from './espalier/v1/ListAuditRequest.ts';
import type { ListAuditResponse as _espalier_v1_ListAuditResponse, ListAuditResponse__Output as _espalier_v1_ListAuditResponse__Output } from './espalier/v1/ListAuditResponse.ts';
import type { ListCorrectionsRequest as _espalier_v1_ListCorrectionsRequest, ListCorrectionsRequest__Output as _espalier_v1_ListCorrectionsRequest__Output } from './espalier/v1/ListCorrectionsRequest.ts';
import type { ListCorrectionsResponse as _espalier_v1_ListCorrectionsResponse, ListCorrectionsResponse__Output as _espalier_v1_ListCorrectionsResponse__Output } from './espalier/v1/ListCorrectionsResponse.ts';
import type { ListDevicesRequest as _espalier_v1_ListDevicesRequest, ListDevicesRequest__Output as _espalier_v1_ListDevicesRequest__Output } from './espalier/v1/ListDevicesRequest.ts';
import type { ListDevicesResponse as _espalier_v1_ListDevicesResponse, ListDevicesResponse__Output as _espalier_v1_ListDevicesResponse__Output } from './espalier/v1/ListDevicesResponse.ts';
import type { ListEventsRequest as _espalier_v1_ListEventsRequest, ListEventsRequest__Output as _espalier_v1_ListEventsRequest__Output } from './espalier/v1/ListEventsRequest.ts';
import type { ListEventsResponse as _espalier_v1_ListEventsResponse, ListEventsResponse__Output as _espalier_v1_ListEventsResponse__Output } from './espalier/v1/ListEventsResponse.ts';
import type { ListModelsRequest as _espalier_v1_ListModelsRequest, ListModelsRequest__Output as _espalier_v1_ListModelsRequest__Output } from './espalier/v1/ListModelsRequest.ts';
import type { ListModelsResponse as _espalier_v1_ListModelsResponse, ListModelsResponse__Output as _espalier_v1_ListModelsResponse__Output } from './espalier/v1/ListModelsResponse.ts';
import type { ListOperatorsRequest as _espalier_v1_ListOperatorsRequest, ListOperatorsRequest__Output as _espalier_v1_ListOperatorsRequest__Output } from './espalier/v1/ListOperatorsRequest.ts';
import type { ListOperatorsResponse as _espalier_v1_ListOperatorsResponse, ListOperatorsResponse__Output as _espalier_v1_ListOperatorsResponse__Output } from './espalier/v1/ListOperatorsResponse.ts';
import type { ListProfilesRequest as _espalier_v1_ListProfilesRequest, ListProfilesRequest__Output as _espalier_v1_ListProfilesRequest__Output } from './espalier/v1/ListProfilesRequest.ts';
import type { ListProfilesResponse as _espalier_v1_ListProfilesResponse, ListProfilesResponse__Output as _espalier_v1_ListProfilesResponse__Output } from './espalier/v1/ListProfilesResponse.ts';
import type { ListReferencesRequest as _espalier_v1_ListReferencesRequest, ListReferencesRequest__Output as _espalier_v1_ListReferencesRequest__Output } from './espalier/v1/ListReferencesRequest.ts';
import type { ListReferencesResponse as _espalier_v1_ListReferencesResponse, ListReferencesResponse__Output as _espalier_v1_ListReferencesResponse__Output } from './espalier/v1/ListReferencesResponse.ts';
import type { ListRolloutsRequest as _espalier_v1_ListRolloutsRequest, ListRolloutsRequest__Output as _espalier_v1_ListRolloutsRequest__Output } from './espalier/v1/ListRolloutsRequest.ts';
import type { ListRolloutsResponse as _espalier_v1_ListRolloutsResponse, ListRolloutsResponse__Output as _espalier_v1_ListRolloutsResponse__Output } from './espalier/v1/ListRolloutsResponse.ts';
import type { ListVariantsRequest as _espalier_v1_ListVariantsRequest, ListVariantsRequest__Output as _espalier_v1_ListVariantsRequest__Output } from './espalier/v1/ListVariantsRequest.ts';
import type { ListVariantsResponse as _espalier_v1_ListVariantsResponse, ListVariantsResponse__Output as _espalier_v1_ListVariantsResponse__Output } from './espalier/v1/ListVariantsResponse.ts';
import type { MeasureDevicesEvent as _espalier_v1_MeasureDevicesEvent, MeasureDevicesEvent__Output as _espalier_v1_MeasureDevicesEvent__Output } from './espalier/v1/MeasureDevicesEvent.ts';
import type { MeasureDevicesRequest as _espalier_v1_MeasureDevicesRequest, MeasureDevicesRequest__Output as _espalier_v1_MeasureDevicesRequest__Output } from './espalier/v1/MeasureDevicesRequest.ts';
import type { OperatorClient as _espalier_v1_OperatorClient, OperatorDefinition as _espalier_v1_OperatorDefinition } from './espalier/v1/Operator.ts';
import type { OperatorAccount as _espalier_v1_OperatorAccount, OperatorAccount__Output as _espalier_v1_OperatorAccount__Output } from './espalier/v1/OperatorAccount.ts';
import type { PlanEvent as _espalier_v1_PlanEvent, PlanEvent__Output as _espalier_v1_PlanEvent__Output } from './espalier/v1/PlanEvent.ts';
import type { PlanRequest as _espalier_v1_PlanRequest, PlanRequest__Output as _espalier_v1_PlanRequest__Output } from './espalier/v1/PlanRequest.ts';
import type { ProfileModelEvent as _espalier_v1_ProfileModelEvent, ProfileModelEvent__Output as _espalier_v1_ProfileModelEvent__Output } from './espalier/v1/ProfileModelEvent.ts';
import type { ProfileModelRequest as _espalier_v1_ProfileModelRequest, ProfileModelRequest__Output as _espalier_v1_ProfileModelRequest__Output } from './espalier/v1/ProfileModelRequest.ts';
import type { ReadDeviceLogsRequest as _espalier_v1_ReadDeviceLogsRequest, ReadDeviceLogsRequest__Output as _espalier_v1_ReadDeviceLogsRequest__Output } from './espalier/v1/ReadDeviceLogsRequest.ts';
import type { ReadVariantFileRequest as _espalier_v1_ReadVariantFileRequest, ReadVariantFileRequest__Output as _espalier_v1_ReadVariantFileRequest__Output } from './espalier/v1/ReadVariantFileRequest.ts';
import type { ReadmitDeviceRequest as _espalier_v1_ReadmitDeviceRequest, ReadmitDeviceRequest__Output as _espalier_v1_ReadmitDeviceRequest__Output } from './espalier/v1/ReadmitDeviceRequest.ts';
import type { ReadmitDeviceResponse as _espalier_v1_ReadmitDeviceResponse, ReadmitDeviceResponse__Output as _espalier_v1_ReadmitDeviceResponse__Output } from './espalier/v1/ReadmitDeviceResponse.ts';
import type { Reference as _espalier_v1_Reference, Reference__Output as _espalier_v1_Reference__Output } from './espalier/v1/Reference.ts';
import type { ResetCorrectionsRequest as _espalier_v1_ResetCorrectionsRequest, ResetCorrectionsRequest__Output as _espalier_v1_ResetCorrectionsRequest__Output } from './espalier/v1/ResetCorrectionsRequest.ts';
import type { ResetCorrectionsResponse as _espalier_v1_ResetCorrectionsResponse, ResetCorrectionsResponse__Output as _espalier_v1_ResetCorrectionsResponse__Output } from './espalier/v1/ResetCorrectionsResponse.ts';
import type { RevokeDeviceRequest as _espalier_v1_RevokeDeviceRequest, RevokeDeviceRequest__Output as _espalier_v1_RevokeDeviceRequest__Output } from './espalier/v1/RevokeDeviceRequest.ts';
import type { RevokeDeviceResponse as _espalier_v1_RevokeDeviceResponse, RevokeDeviceResponse__Output as _espalier_v1_RevokeDeviceResponse__Output } from './espalier/v1/RevokeDeviceResponse.ts';
import type { RevokeOperatorRequest as _espalier_v1_RevokeOperatorRequest, RevokeOperatorRequest__Output as _espalier_v1_RevokeOperatorRequest__Output } from './espalier/v1/RevokeOperatorRequest.ts';
import type { RevokeOperatorResponse as _espalier_v1_RevokeOperatorResponse, RevokeOperatorResponse__Output as _espalier_v1_RevokeOperatorResponse__Output } from './espalier/v1/RevokeOperatorResponse.ts';
import type { RolloutResponse as _espalier_v1_RolloutResponse, RolloutResponse__Output as _espalier_v1_RolloutResponse__Output } from './espalier/v1/RolloutResponse.ts';
import type { SearchModelEvent as _espalier_v1_SearchModelEvent, SearchModelEvent__Output as _espalier_v1_SearchModelEvent__Output } from './espalier/v1/SearchModelEvent.ts';
import type { SearchModelRequest as _espalier_v1_SearchModelRequest, SearchModelRequest__Output as _espalier_v1_SearchModelRequest__Output } from './espalier/v1/SearchModelRequest.ts';
import type { StartRolloutRequest as _espalier_v1_StartRolloutRequest, StartRolloutRequest__Output as _espalier_v1_StartRolloutRequest__Output } from './espalier/v1/StartRolloutRequest.ts';
import type { StoredTree as _espalier_v1_StoredTree, StoredTree__Output as _espalier_v1_StoredTree__Output } from './espalier/v1/StoredTree.ts';
import type { TreeHeader as _espalier_v1_TreeHeader, TreeHeader__Output as _espalier_v1_TreeHeader__Output } from './espalier/v1/TreeHeader.ts';
import type { UploadMessage as _espalier_v1_UploadMessage, UploadMessage__Output as _espalier_v1_UploadMessage__Output } from './espalier/v1/UploadMessage.ts';
import type { Variant as _espalier_v1_Variant, Variant__Output as _espalier_v1_Variant__Output } from './espalier/v1/Variant.ts';
import type { WhatIf as _espalier_v1_WhatIf, WhatIf__Output as _espalier_v1_WhatIf__Output } from './espalier/v1/WhatIf.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  espalier: {
    v1: {
      AuditEntry: MessageTypeDefinition<_espalier_v1_AuditEntry, _espalier_v1_AuditEntry__Output>
      ControlRolloutRequest: MessageTypeDefinition<_espalier_v1_ControlRolloutRequest, _espalier_v1_ControlRolloutRequest__Output>
      CreateOperatorRequest: MessageTypeDefinition<_espalier_v1_CreateOperatorRequest, _espalier_v1_CreateOperatorRequest__Output>
      CreateOperatorResponse: MessageTypeDefinition<_espalier_v1_CreateOperatorResponse, _espalier_v1_CreateOperatorResponse__Output>
      CreateTokenRequest: MessageTypeDefinition<_espalier_v1_CreateTokenRequest, _espalier_v1_CreateTokenRequest__Output>
      CreateTokenResponse: MessageTypeDefinition<_espalier_v1_CreateTokenResponse, _espalier_v1_CreateTokenResponse__Output>
      DecommissionDeviceRequest: MessageTypeDefinition<_espalier_v1_DecommissionDeviceRequest, _espalier_v1_DecommissionDeviceRequest__Output>
      DecommissionDeviceResponse: MessageTypeDefinition<_espalier_v1_DecommissionDeviceResponse, _espalier_v1_DecommissionDeviceResponse__Output>
      Device: MessageTypeDefinition<_espalier_v1_Device, _espalier_v1_Device__Output>
      DeviceLogLines: MessageTypeDefinition<_espalier_v1_DeviceLogLines, _espalier_v1_DeviceLogLines__Output>
      DiagnoseRequest: MessageTypeDefinition<_espalier_v1_DiagnoseRequest, _espalier_v1_DiagnoseRequest__Output>
      DiagnoseResponse: MessageTypeDefinition<_espalier_v1_DiagnoseResponse, _espalier_v1_DiagnoseResponse__Output>
      Document: MessageTypeDefinition<_espalier_v1_Document, _espalier_v1_Document__Output>
      Event: MessageTypeDefinition<_espalier_v1_Event, _espalier_v1_Event__Output>
      FileData: MessageTypeDefinition<_espalier_v1_FileData, _espalier_v1_FileData__Output>
      FileHeader: MessageTypeDefinition<_espalier_v1_FileHeader, _espalier_v1_FileHeader__Output>
      Finding: MessageTypeDefinition<_espalier_v1_Finding, _espalier_v1_Finding__Output>
      GetRolloutRequest: MessageTypeDefinition<_espalier_v1_GetRolloutRequest, _espalier_v1_GetRolloutRequest__Output>
      GetStatusRequest: MessageTypeDefinition<_espalier_v1_GetStatusRequest, _espalier_v1_GetStatusRequest__Output>
      GetStatusResponse: MessageTypeDefinition<_espalier_v1_GetStatusResponse, _espalier_v1_GetStatusResponse__Output>
      ImportReferenceRequest: MessageTypeDefinition<_espalier_v1_ImportReferenceRequest, _espalier_v1_ImportReferenceRequest__Output>
      ImportReferenceResponse: MessageTypeDefinition<_espalier_v1_ImportReferenceResponse, _espalier_v1_ImportReferenceResponse__Output>
      ImportResponse: MessageTypeDefinition<_espalier_v1_ImportResponse, _espalier_v1_ImportResponse__Output>
      LabelDeviceRequest: MessageTypeDefinition<_espalier_v1_LabelDeviceRequest, _espalier_v1_LabelDeviceRequest__Output>
      LabelDeviceResponse: MessageTypeDefinition<_espalier_v1_LabelDeviceResponse, _espalier_v1_LabelDeviceResponse__Output>
      ListAuditRequest: MessageTypeDefinition<_espalier_v1_ListAuditRequest, _espalier_v1_ListAuditRequest__Output>
      ListAuditResponse: MessageTypeDefinition<_espalier_v1_ListAuditResponse, _espalier_v1_ListAuditResponse__Output>
      ListCorrectionsRequest: MessageTypeDefinition<_espalier_v1_ListCorrectionsRequest, _espalier_v1_ListCorrectionsRequest__Output>
      ListCorrectionsResponse: MessageTypeDefinition<_espalier_v1_ListCorrectionsResponse, _espalier_v1_ListCorrectionsResponse__Output>
      ListDevicesRequest: MessageTypeDefinition<_espalier_v1_ListDevicesRequest, _espalier_v1_ListDevicesRequest__Output>
      ListDevicesResponse: MessageTypeDefinition<_espalier_v1_ListDevicesResponse, _espalier_v1_ListDevicesResponse__Output>
      ListEventsRequest: MessageTypeDefinition<_espalier_v1_ListEventsRequest, _espalier_v1_ListEventsRequest__Output>
      ListEventsResponse: MessageTypeDefinition<_espalier_v1_ListEventsResponse, _espalier_v1_ListEventsResponse__Output>
      ListModelsRequest: MessageTypeDefinition<_espalier_v1_ListModelsRequest, _espalier_v1_ListModelsRequest__Output>
      ListModelsResponse: MessageTypeDefinition<_espalier_v1_ListModelsResponse, _espalier_v1_ListModelsResponse__Output>
      ListOperatorsRequest: MessageTypeDefinition<_espalier_v1_ListOperatorsRequest, _espalier_v1_ListOperatorsRequest__Output>
      ListOperatorsResponse: MessageTypeDefinition<_espalier_v1_ListOperatorsResponse, _espalier_v1_ListOperatorsResponse__Output>
      ListProfilesRequest: MessageTypeDefinition<_espalier_v1_ListProfilesRequest, _espalier_v1_ListProfilesRequest__Output>
      ListProfilesResponse: MessageTypeDefinition<_espalier_v1_ListProfilesResponse, _espalier_v1_ListProfilesResponse__Output>
      ListReferencesRequest: MessageTypeDefinition<_espalier_v1_ListReferencesRequest, _espalier_v1_ListReferencesRequest__Output>
      ListReferencesResponse: MessageTypeDefinition<_espalier_v1_ListReferencesResponse, _espalier_v1_ListReferencesResponse__Output>
      ListRolloutsRequest: MessageTypeDefinition<_espalier_v1_ListRolloutsRequest, _espalier_v1_ListRolloutsRequest__Output>
      ListRolloutsResponse: MessageTypeDefinition<_espalier_v1_ListRolloutsResponse, _espalier_v1_ListRolloutsResponse__Output>
      ListVariantsRequest: MessageTypeDefinition<_espalier_v1_ListVariantsRequest, _espalier_v1_ListVariantsRequest__Output>
      ListVariantsResponse: MessageTypeDefinition<_espalier_v1_ListVariantsResponse, _espalier_v1_ListVariantsResponse__Output>
      MeasureDevicesEvent: MessageTypeDefinition<_espalier_v1_MeasureDevicesEvent, _espalier_v1_MeasureDevicesEvent__Output>
      MeasureDevicesRequest: MessageTypeDefinition<_espalier_v1_MeasureDevicesRequest, _espalier_v1_MeasureDevicesRequest__Output>
      Operator: SubtypeConstructor<typeof grpc.Client, _espalier_v1_OperatorClient> & { service: _espalier_v1_OperatorDefinition }
      OperatorAccount: MessageTypeDefinition<_espalier_v1_OperatorAccount, _espalier_v1_OperatorAccount__Output>
      PlanEvent: MessageTypeDefinition<_espalier_v1_PlanEvent, _espalier_v1_PlanEvent__Output>
      PlanRequest: MessageTypeDefinition<_espalier_v1_PlanRequest, _espalier_v1_PlanRequest__Output>
      ProfileModelEvent: MessageTypeDefinition<_espalier_v1_ProfileModelEvent, _espalier_v1_ProfileModelEvent__Output>
      ProfileModelRequest: MessageTypeDefinition<_espalier_v1_ProfileModelRequest, _espalier_v1_ProfileModelRequest__Output>
      ReadDeviceLogsRequest: MessageTypeDefinition<_espalier_v1_ReadDeviceLogsRequest, _espalier_v1_ReadDeviceLogsRequest__Output>
      ReadVariantFileRequest: MessageTypeDefinition<_espalier_v1_ReadVariantFileRequest, _espalier_v1_ReadVariantFileRequest__Output>
      ReadmitDeviceRequest: MessageTypeDefinition<_espalier_v1_ReadmitDeviceRequest, _espalier_v1_ReadmitDeviceRequest__Output>
      ReadmitDeviceResponse: MessageTypeDefinition<_espalier_v1_ReadmitDeviceResponse, _espalier_v1_ReadmitDeviceResponse__Output>
      Reference: MessageTypeDefinition<_espalier_v1_Reference, _espalier_v1_Reference__Output>
      ResetCorrectionsRequest: MessageTypeDefinition<_espalier_v1_ResetCorrectionsRequest, _espalier_v1_ResetCorrectionsRequest__Output>
      ResetCorrectionsResponse: MessageTypeDefinition<_espalier_v1_ResetCorrectionsResponse, _espalier_v1_ResetCorrectionsResponse__Output>
      RevokeDeviceRequest: MessageTypeDefinition<_espalier_v1_RevokeDeviceRequest, _espalier_v1_RevokeDeviceRequest__Output>
      RevokeDeviceResponse: MessageTypeDefinition<_espalier_v1_RevokeDeviceResponse, _espalier_v1_RevokeDeviceResponse__Output>
      RevokeOperatorRequest: MessageTypeDefinition<_espalier_v1_RevokeOperatorRequest, _espalier_v1_RevokeOperatorRequest__Output>
      RevokeOperatorResponse: MessageTypeDefinition<_espalier_v1_RevokeOperatorResponse, _espalier_v1_RevokeOperatorResponse__Output>
      RolloutResponse: MessageTypeDefinition<_espalier_v1_RolloutResponse, _espalier_v1_RolloutResponse__Output>
      SearchModelEvent: MessageTypeDefinition<_espalier_v1_SearchModelEvent, _espalier_v1_SearchModelEvent__Output>
      SearchModelRequest: MessageTypeDefinition<_espalier_v1_SearchModelRequest, _espalier_v1_SearchModelRequest__Output>
      StartRolloutRequest: MessageTypeDefinition<_espalier_v1_StartRolloutRequest, _espalier_v1_StartRolloutRequest__Output>
      StoredTree: MessageTypeDefinition<_espalier_v1_StoredTree, _espalier_v1_StoredTree__Output>
      TreeHeader: MessageTypeDefinition<_espalier_v1_TreeHeader, _espalier_v1_TreeHeader__Output>
      UploadMessage: MessageTypeDefinition<_espalier_v1_UploadMessage, _espalier_v1_UploadMessage__Output>
      Variant: MessageTypeDefinition<_espalier_v1_Variant, _espalier_v1_Variant__Output>
      WhatIf: MessageTypeDefinition<_espalier_v1_WhatIf, _espalier_v1_WhatIf__Output>
    }
  }
}

