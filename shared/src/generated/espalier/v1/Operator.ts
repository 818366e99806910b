// Original file: proto/espalier/v1/operator.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ControlRolloutRequest as _espalier_v1_ControlRolloutRequest, ControlRolloutRequest__Output as _espalier_v1_ControlRolloutRequest__Output } from '../../espalier/v1/ControlRolloutRequest.ts';
import type { CreateOperatorRequest as _espalier_v1_CreateOperatorRequest, CreateOperatorRequest__Output as _espalier_v1_CreateOperatorRequest__Output } from '../../espalier/v1/CreateOperatorRequest.ts';
import type { CreateOperatorResponse as _espalier_v1_CreateOperatorResponse, CreateOperatorResponse__Output as _espalier_v1_CreateOperatorResponse__Output } from '../../espalier/v1/CreateOperatorResponse.ts';
import type { CreateTokenRequest as _espalier_v1_CreateTokenRequest, CreateTokenRequest__Output as _espalier_v1_CreateTokenRequest__Output } from '../../espalier/v1/CreateTokenRequest.ts';
import type { CreateTokenResponse as _espalier_v1_CreateTokenResponse, CreateTokenResponse__Output as _espalier_v1_CreateTokenResponse__Output } from '../../espalier/v1/CreateTokenResponse.ts';
import type { DecommissionDeviceRequest as _espalier_v1_DecommissionDeviceRequest, DecommissionDeviceRequest__Output as _espalier_v1_DecommissionDeviceRequest__Output } from '../../espalier/v1/DecommissionDeviceRequest.ts';
import type { DecommissionDeviceResponse as _espalier_v1_DecommissionDeviceResponse, DecommissionDeviceResponse__Output as _espalier_v1_DecommissionDeviceResponse__Output } from '../../espalier/v1/DecommissionDeviceResponse.ts';
import type { DeviceLogLines as _espalier_v1_DeviceLogLines, DeviceLogLines__Output as _espalier_v1_DeviceLogLines__Output } from '../../espalier/v1/DeviceLogLines.ts';
import type { DiagnoseRequest as _espalier_v1_DiagnoseRequest, DiagnoseRequest__Output as _espalier_v1_DiagnoseRequest__Output } from '../../espalier/v1/DiagnoseRequest.ts';
import type { DiagnoseResponse as _espalier_v1_DiagnoseResponse, DiagnoseResponse__Output as _espalier_v1_DiagnoseResponse__Output } from '../../espalier/v1/DiagnoseResponse.ts';
import type { FileData as _espalier_v1_FileData, FileData__Output as _espalier_v1_FileData__Output } from '../../espalier/v1/FileData.ts';
import type { GetRolloutRequest as _espalier_v1_GetRolloutRequest, GetRolloutRequest__Output as _espalier_v1_GetRolloutRequest__Output } from '../../espalier/v1/GetRolloutRequest.ts';
import type { GetStatusRequest as _espalier_v1_GetStatusRequest, GetStatusRequest__Output as _espalier_v1_GetStatusRequest__Output } from '../../espalier/v1/GetStatusRequest.ts';
import type { GetStatusResponse as _espalier_v1_GetStatusResponse, GetStatusResponse__Output as _espalier_v1_GetStatusResponse__Output } from '../../espalier/v1/GetStatusResponse.ts';
import type { ImportReferenceRequest as _espalier_v1_ImportReferenceRequest, ImportReferenceRequest__Output as _espalier_v1_ImportReferenceRequest__Output } from '../../espalier/v1/ImportReferenceRequest.ts';
import type { ImportReferenceResponse as _espalier_v1_ImportReferenceResponse, ImportReferenceResponse__Output as _espalier_v1_ImportReferenceResponse__Output } from '../../espalier/v1/ImportReferenceResponse.ts';
import type { ImportResponse as _espalier_v1_ImportResponse, ImportResponse__Output as _espalier_v1_ImportResponse__Output } from '../../espalier/v1/ImportResponse.ts';
import type { LabelDeviceRequest as _espalier_v1_LabelDeviceRequest, LabelDeviceRequest__Output as _espalier_v1_LabelDeviceRequest__Output } from '../../espalier/v1/LabelDeviceRequest.ts';
import type { LabelDeviceResponse as _espalier_v1_LabelDeviceResponse, LabelDeviceResponse__Output as _espalier_v1_LabelDeviceResponse__Output } from '../../espalier/v1/LabelDeviceResponse.ts';
import type { ListAuditRequest as _espalier_v1_ListAuditRequest, ListAuditRequest__Output as _espalier_v1_ListAuditRequest__Output } from '../../espalier/v1/ListAuditRequest.ts';
import type { ListAuditResponse as _espalier_v1_ListAuditResponse, ListAuditResponse__Output as _espalier_v1_ListAuditResponse__Output } from '../../espalier/v1/ListAuditResponse.ts';
import type { ListCorrectionsRequest as _espalier_v1_ListCorrectionsRequest, ListCorrectionsRequest__Output as _espalier_v1_ListCorrectionsRequest__Output } from '../../espalier/v1/ListCorrectionsRequest.ts';
import type { ListCorrectionsResponse as _espalier_v1_ListCorrectionsResponse, ListCorrectionsResponse__Output as _espalier_v1_ListCorrectionsResponse__Output } from '../../espalier/v1/ListCorrectionsResponse.ts';
import type { ListDevicesRequest as _espalier_v1_ListDevicesRequest, ListDevicesRequest__Output as _espalier_v1_ListDevicesRequest__Output } from '../../espalier/v1/ListDevicesRequest.ts';
import type { ListDevicesResponse as _espalier_v1_ListDevicesResponse, ListDevicesResponse__Output as _espalier_v1_ListDevicesResponse__Output } from '../../espalier/v1/ListDevicesResponse.ts';
import type { ListEventsRequest as _espalier_v1_ListEventsRequest, ListEventsRequest__Output as _espalier_v1_ListEventsRequest__Output } from '../../espalier/v1/ListEventsRequest.ts';
import type { ListEventsResponse as _espalier_v1_ListEventsResponse, ListEventsResponse__Output as _espalier_v1_ListEventsResponse__Output } from '../../espalier/v1/ListEventsResponse.ts';
import type { ListModelsRequest as _espalier_v1_ListModelsRequest, ListModelsRequest__Output as _espalier_v1_ListModelsRequest__Output } from '../../espalier/v1/ListModelsRequest.ts';
import type { ListModelsResponse as _espalier_v1_ListModelsResponse, ListModelsResponse__Output as _espalier_v1_ListModelsResponse__Output } from '../../espalier/v1/ListModelsResponse.ts';
import type { ListOperatorsRequest as _espalier_v1_ListOperatorsRequest, ListOperatorsRequest__Output as _espalier_v1_ListOperatorsRequest__Output } from '../../espalier/v1/ListOperatorsRequest.ts';
import type { ListOperatorsResponse as _espalier_v1_ListOperatorsResponse, ListOperatorsResponse__Output as _espalier_v1_ListOperatorsResponse__Output } from '../../espalier/v1/ListOperatorsResponse.ts';
import type { ListProfilesRequest as _espalier_v1_ListProfilesRequest, ListProfilesRequest__Output as _espalier_v1_ListProfilesRequest__Output } from '../../espalier/v1/ListProfilesRequest.ts';
import type { ListProfilesResponse as _espalier_v1_ListProfilesResponse, ListProfilesResponse__Output as _espalier_v1_ListProfilesResponse__Output } from '../../espalier/v1/ListProfilesResponse.ts';
import type { ListReferencesRequest as _espalier_v1_ListReferencesRequest, ListReferencesRequest__Output as _espalier_v1_ListReferencesRequest__Output } from '../../espalier/v1/ListReferencesRequest.ts';
import type { ListReferencesResponse as _espalier_v1_ListReferencesResponse, ListReferencesResponse__Output as _espalier_v1_ListReferencesResponse__Output } from '../../espalier/v1/ListReferencesResponse.ts';
import type { ListRolloutsRequest as _espalier_v1_ListRolloutsRequest, ListRolloutsRequest__Output as _espalier_v1_ListRolloutsRequest__Output } from '../../espalier/v1/ListRolloutsRequest.ts';
import type { ListRolloutsResponse as _espalier_v1_ListRolloutsResponse, ListRolloutsResponse__Output as _espalier_v1_ListRolloutsResponse__Output } from '../../espalier/v1/ListRolloutsResponse.ts';
import type { ListVariantsRequest as _espalier_v1_ListVariantsRequest, ListVariantsRequest__Output as _espalier_v1_ListVariantsRequest__Output } from '../../espalier/v1/ListVariantsRequest.ts';
import type { ListVariantsResponse as _espalier_v1_ListVariantsResponse, ListVariantsResponse__Output as _espalier_v1_ListVariantsResponse__Output } from '../../espalier/v1/ListVariantsResponse.ts';
import type { MeasureDevicesEvent as _espalier_v1_MeasureDevicesEvent, MeasureDevicesEvent__Output as _espalier_v1_MeasureDevicesEvent__Output } from '../../espalier/v1/MeasureDevicesEvent.ts';
import type { MeasureDevicesRequest as _espalier_v1_MeasureDevicesRequest, MeasureDevicesRequest__Output as _espalier_v1_MeasureDevicesRequest__Output } from '../../espalier/v1/MeasureDevicesRequest.ts';
import type { PlanEvent as _espalier_v1_PlanEvent, PlanEvent__Output as _espalier_v1_PlanEvent__Output } from '../../espalier/v1/PlanEvent.ts';
import type { PlanRequest as _espalier_v1_PlanRequest, PlanRequest__Output as _espalier_v1_PlanRequest__Output } from '../../espalier/v1/PlanRequest.ts';
import type { ProfileModelEvent as _espalier_v1_ProfileModelEvent, ProfileModelEvent__Output as _espalier_v1_ProfileModelEvent__Output } from '../../espalier/v1/ProfileModelEvent.ts';
import type { ProfileModelRequest as _espalier_v1_ProfileModelRequest, ProfileModelRequest__Output as _espalier_v1_ProfileModelRequest__Output } from '../../espalier/v1/ProfileModelRequest.ts';
import type { ReadDeviceLogsRequest as _espalier_v1_ReadDeviceLogsRequest, ReadDeviceLogsRequest__Output as _espalier_v1_ReadDeviceLogsRequest__Output } from '../../espalier/v1/ReadDeviceLogsRequest.ts';
import type { ReadVariantFileRequest as _espalier_v1_ReadVariantFileRequest, ReadVariantFileRequest__Output as _espalier_v1_ReadVariantFileRequest__Output } from '../../espalier/v1/ReadVariantFileRequest.ts';
import type { ReadmitDeviceRequest as _espalier_v1_ReadmitDeviceRequest, ReadmitDeviceRequest__Output as _espalier_v1_ReadmitDeviceRequest__Output } from '../../espalier/v1/ReadmitDeviceRequest.ts';
import type { ReadmitDeviceResponse as _espalier_v1_ReadmitDeviceResponse, ReadmitDeviceResponse__Output as _espalier_v1_ReadmitDeviceResponse__Output } from '../../espalier/v1/ReadmitDeviceResponse.ts';
import type { ResetCorrectionsRequest as _espalier_v1_ResetCorrectionsRequest, ResetCorrectionsRequest__Output as _espalier_v1_ResetCorrectionsRequest__Output } from '../../espalier/v1/ResetCorrectionsRequest.ts';
import type { ResetCorrectionsResponse as _espalier_v1_ResetCorrectionsResponse, ResetCorrectionsResponse__Output as _espalier_v1_ResetCorrectionsResponse__Output } from '../../espalier/v1/ResetCorrectionsResponse.ts';
import type { RevokeDeviceRequest as _espalier_v1_RevokeDeviceRequest, RevokeDeviceRequest__Output as _espalier_v1_RevokeDeviceRequest__Output } from '../../espalier/v1/RevokeDeviceRequest.ts';
import type { RevokeDeviceResponse as _espalier_v1_RevokeDeviceResponse, RevokeDeviceResponse__Output as _espalier_v1_RevokeDeviceResponse__Output } from '../../espalier/v1/RevokeDeviceResponse.ts';
import type { RevokeOperatorRequest as _espalier_v1_RevokeOperatorRequest, RevokeOperatorRequest__Output as _espalier_v1_RevokeOperatorRequest__Output } from '../../espalier/v1/RevokeOperatorRequest.ts';
import type { RevokeOperatorResponse as _espalier_v1_RevokeOperatorResponse, RevokeOperatorResponse__Output as _espalier_v1_RevokeOperatorResponse__Output } from '../../espalier/v1/RevokeOperatorResponse.ts';
import type { RolloutResponse as _espalier_v1_RolloutResponse, RolloutResponse__Output as _espalier_v1_RolloutResponse__Output } from '../../espalier/v1/RolloutResponse.ts';
import type { SearchModelEvent as _espalier_v1_SearchModelEvent, SearchModelEvent__Output as _espalier_v1_SearchModelEvent__Output } from '../../espalier/v1/SearchModelEvent.ts';
import type { SearchModelRequest as _espalier_v1_SearchModelRequest, SearchModelRequest__Output as _espalier_v1_SearchModelRequest__Output } from '../../espalier/v1/SearchModelRequest.ts';
import type { StartRolloutRequest as _espalier_v1_StartRolloutRequest, StartRolloutRequest__Output as _espalier_v1_StartRolloutRequest__Output } from '../../espalier/v1/StartRolloutRequest.ts';
import type { UploadMessage as _espalier_v1_UploadMessage, UploadMessage__Output as _espalier_v1_UploadMessage__Output } from '../../espalier/v1/UploadMessage.ts';

export interface OperatorClient extends grpc.Client {
  ControlRollout(argument: _espalier_v1_ControlRolloutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  ControlRollout(argument: _espalier_v1_ControlRolloutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  ControlRollout(argument: _espalier_v1_ControlRolloutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  ControlRollout(argument: _espalier_v1_ControlRolloutRequest, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  controlRollout(argument: _espalier_v1_ControlRolloutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  controlRollout(argument: _espalier_v1_ControlRolloutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  controlRollout(argument: _espalier_v1_ControlRolloutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  controlRollout(argument: _espalier_v1_ControlRolloutRequest, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  
  CreateOperator(argument: _espalier_v1_CreateOperatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_CreateOperatorResponse__Output>): grpc.ClientUnaryCall;
  CreateOperator(argument: _espalier_v1_CreateOperatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_CreateOperatorResponse__Output>): grpc.ClientUnaryCall;
  CreateOperator(argument: _espalier_v1_CreateOperatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_CreateOperatorResponse__Output>): grpc.ClientUnaryCall;
  CreateOperator(argument: _espalier_v1_CreateOperatorRequest, callback: grpc.requestCallback<_espalier_v1_CreateOperatorResponse__Output>): grpc.ClientUnaryCall;
  createOperator(argument: _espalier_v1_CreateOperatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_CreateOperatorResponse__Output>): grpc.ClientUnaryCall;
  createOperator(argument: _espalier_v1_CreateOperatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_CreateOperatorResponse__Output>): grpc.ClientUnaryCall;
  createOperator(argument: _espalier_v1_CreateOperatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_CreateOperatorResponse__Output>): grpc.ClientUnaryCall;
  createOperator(argument: _espalier_v1_CreateOperatorRequest, callback: grpc.requestCallback<_espalier_v1_CreateOperatorResponse__Output>): grpc.ClientUnaryCall;
  
  CreateToken(argument: _espalier_v1_CreateTokenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_CreateTokenResponse__Output>): grpc.ClientUnaryCall;
  CreateToken(argument: _espalier_v1_CreateTokenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_CreateTokenResponse__Output>): grpc.ClientUnaryCall;
  CreateToken(argument: _espalier_v1_CreateTokenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_CreateTokenResponse__Output>): grpc.ClientUnaryCall;
  CreateToken(argument: _espalier_v1_CreateTokenRequest, callback: grpc.requestCallback<_espalier_v1_CreateTokenResponse__Output>): grpc.ClientUnaryCall;
  createToken(argument: _espalier_v1_CreateTokenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_CreateTokenResponse__Output>): grpc.ClientUnaryCall;
  createToken(argument: _espalier_v1_CreateTokenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_CreateTokenResponse__Output>): grpc.ClientUnaryCall;
  createToken(argument: _espalier_v1_CreateTokenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_CreateTokenResponse__Output>): grpc.ClientUnaryCall;
  createToken(argument: _espalier_v1_CreateTokenRequest, callback: grpc.requestCallback<_espalier_v1_CreateTokenResponse__Output>): grpc.ClientUnaryCall;
  
  DecommissionDevice(argument: _espalier_v1_DecommissionDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_DecommissionDeviceResponse__Output>): grpc.ClientUnaryCall;
  DecommissionDevice(argument: _espalier_v1_DecommissionDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_DecommissionDeviceResponse__Output>): grpc.ClientUnaryCall;
  DecommissionDevice(argument: _espalier_v1_DecommissionDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_DecommissionDeviceResponse__Output>): grpc.ClientUnaryCall;
  DecommissionDevice(argument: _espalier_v1_DecommissionDeviceRequest, callback: grpc.requestCallback<_espalier_v1_DecommissionDeviceResponse__Output>): grpc.ClientUnaryCall;
  decommissionDevice(argument: _espalier_v1_DecommissionDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_DecommissionDeviceResponse__Output>): grpc.ClientUnaryCall;
  decommissionDevice(argument: _espalier_v1_DecommissionDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_DecommissionDeviceResponse__Output>): grpc.ClientUnaryCall;
  decommissionDevice(argument: _espalier_v1_DecommissionDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_DecommissionDeviceResponse__Output>): grpc.ClientUnaryCall;
  decommissionDevice(argument: _espalier_v1_DecommissionDeviceRequest, callback: grpc.requestCallback<_espalier_v1_DecommissionDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  Diagnose(argument: _espalier_v1_DiagnoseRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_DiagnoseResponse__Output>): grpc.ClientUnaryCall;
  Diagnose(argument: _espalier_v1_DiagnoseRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_DiagnoseResponse__Output>): grpc.ClientUnaryCall;
  Diagnose(argument: _espalier_v1_DiagnoseRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_DiagnoseResponse__Output>): grpc.ClientUnaryCall;
  Diagnose(argument: _espalier_v1_DiagnoseRequest, callback: grpc.requestCallback<_espalier_v1_DiagnoseResponse__Output>): grpc.ClientUnaryCall;
  diagnose(argument: _espalier_v1_DiagnoseRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_DiagnoseResponse__Output>): grpc.ClientUnaryCall;
  diagnose(argument: _espalier_v1_DiagnoseRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_DiagnoseResponse__Output>): grpc.ClientUnaryCall;
  diagnose(argument: _espalier_v1_DiagnoseRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_DiagnoseResponse__Output>): grpc.ClientUnaryCall;
  diagnose(argument: _espalier_v1_DiagnoseRequest, callback: grpc.requestCallback<_espalier_v1_DiagnoseResponse__Output>): grpc.ClientUnaryCall;
  
  GetRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  GetRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  GetRollout(argument: _espalier_v1_GetRolloutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  GetRollout(argument: _espalier_v1_GetRolloutRequest, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  getRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  getRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  getRollout(argument: _espalier_v1_GetRolloutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  getRollout(argument: _espalier_v1_GetRolloutRequest, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  
  GetStatus(argument: _espalier_v1_GetStatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_GetStatusResponse__Output>): grpc.ClientUnaryCall;
  GetStatus(argument: _espalier_v1_GetStatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_GetStatusResponse__Output>): grpc.ClientUnaryCall;
  GetStatus(argument: _espalier_v1_GetStatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_GetStatusResponse__Output>): grpc.ClientUnaryCall;
  GetStatus(argument: _espalier_v1_GetStatusRequest, callback: grpc.requestCallback<_espalier_v1_GetStatusResponse__Output>): grpc.ClientUnaryCall;
  getStatus(argument: _espalier_v1_GetStatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_GetStatusResponse__Output>): grpc.ClientUnaryCall;
  getStatus(argument: _espalier_v1_GetStatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_GetStatusResponse__Output>): grpc.ClientUnaryCall;
  getStatus(argument: _espalier_v1_GetStatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_GetStatusResponse__Output>): grpc.ClientUnaryCall;
  getStatus(argument: _espalier_v1_GetStatusRequest, callback: grpc.requestCallback<_espalier_v1_GetStatusResponse__Output>): grpc.ClientUnaryCall;
  
  ImportDataset(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  ImportDataset(metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  ImportDataset(options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  ImportDataset(callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  importDataset(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  importDataset(metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  importDataset(options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  importDataset(callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  
  ImportModel(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  ImportModel(metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  ImportModel(options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  ImportModel(callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  importModel(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  importModel(metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  importModel(options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  importModel(callback: grpc.requestCallback<_espalier_v1_ImportResponse__Output>): grpc.ClientWritableStream<_espalier_v1_UploadMessage>;
  
  ImportReference(argument: _espalier_v1_ImportReferenceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportReferenceResponse__Output>): grpc.ClientUnaryCall;
  ImportReference(argument: _espalier_v1_ImportReferenceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ImportReferenceResponse__Output>): grpc.ClientUnaryCall;
  ImportReference(argument: _espalier_v1_ImportReferenceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportReferenceResponse__Output>): grpc.ClientUnaryCall;
  ImportReference(argument: _espalier_v1_ImportReferenceRequest, callback: grpc.requestCallback<_espalier_v1_ImportReferenceResponse__Output>): grpc.ClientUnaryCall;
  importReference(argument: _espalier_v1_ImportReferenceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportReferenceResponse__Output>): grpc.ClientUnaryCall;
  importReference(argument: _espalier_v1_ImportReferenceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ImportReferenceResponse__Output>): grpc.ClientUnaryCall;
  importReference(argument: _espalier_v1_ImportReferenceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ImportReferenceResponse__Output>): grpc.ClientUnaryCall;
  importReference(argument: _espalier_v1_ImportReferenceRequest, callback: grpc.requestCallback<_espalier_v1_ImportReferenceResponse__Output>): grpc.ClientUnaryCall;
  
  LabelDevice(argument: _espalier_v1_LabelDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_LabelDeviceResponse__Output>): grpc.ClientUnaryCall;
  LabelDevice(argument: _espalier_v1_LabelDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_LabelDeviceResponse__Output>): grpc.ClientUnaryCall;
  LabelDevice(argument: _espalier_v1_LabelDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_LabelDeviceResponse__Output>): grpc.ClientUnaryCall;
  LabelDevice(argument: _espalier_v1_LabelDeviceRequest, callback: grpc.requestCallback<_espalier_v1_LabelDeviceResponse__Output>): grpc.ClientUnaryCall;
  labelDevice(argument: _espalier_v1_LabelDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_LabelDeviceResponse__Output>): grpc.ClientUnaryCall;
  labelDevice(argument: _espalier_v1_LabelDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_LabelDeviceResponse__Output>): grpc.ClientUnaryCall;
  labelDevice(argument: _espalier_v1_LabelDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_LabelDeviceResponse__Output>): grpc.ClientUnaryCall;
  labelDevice(argument: _espalier_v1_LabelDeviceRequest, callback: grpc.requestCallback<_espalier_v1_LabelDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  ListAudit(argument: _espalier_v1_ListAuditRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  ListAudit(argument: _espalier_v1_ListAuditRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  ListAudit(argument: _espalier_v1_ListAuditRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  ListAudit(argument: _espalier_v1_ListAuditRequest, callback: grpc.requestCallback<_espalier_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  listAudit(argument: _espalier_v1_ListAuditRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  listAudit(argument: _espalier_v1_ListAuditRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  listAudit(argument: _espalier_v1_ListAuditRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  listAudit(argument: _espalier_v1_ListAuditRequest, callback: grpc.requestCallback<_espalier_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  
  ListCorrections(argument: _espalier_v1_ListCorrectionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  ListCorrections(argument: _espalier_v1_ListCorrectionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  ListCorrections(argument: _espalier_v1_ListCorrectionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  ListCorrections(argument: _espalier_v1_ListCorrectionsRequest, callback: grpc.requestCallback<_espalier_v1_ListCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  listCorrections(argument: _espalier_v1_ListCorrectionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  listCorrections(argument: _espalier_v1_ListCorrectionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  listCorrections(argument: _espalier_v1_ListCorrectionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  listCorrections(argument: _espalier_v1_ListCorrectionsRequest, callback: grpc.requestCallback<_espalier_v1_ListCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  
  ListDevices(argument: _espalier_v1_ListDevicesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _espalier_v1_ListDevicesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _espalier_v1_ListDevicesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _espalier_v1_ListDevicesRequest, callback: grpc.requestCallback<_espalier_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _espalier_v1_ListDevicesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _espalier_v1_ListDevicesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _espalier_v1_ListDevicesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _espalier_v1_ListDevicesRequest, callback: grpc.requestCallback<_espalier_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  
  ListEvents(argument: _espalier_v1_ListEventsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListEventsResponse__Output>): grpc.ClientUnaryCall;
  ListEvents(argument: _espalier_v1_ListEventsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListEventsResponse__Output>): grpc.ClientUnaryCall;
  ListEvents(argument: _espalier_v1_ListEventsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListEventsResponse__Output>): grpc.ClientUnaryCall;
  ListEvents(argument: _espalier_v1_ListEventsRequest, callback: grpc.requestCallback<_espalier_v1_ListEventsResponse__Output>): grpc.ClientUnaryCall;
  listEvents(argument: _espalier_v1_ListEventsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListEventsResponse__Output>): grpc.ClientUnaryCall;
  listEvents(argument: _espalier_v1_ListEventsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListEventsResponse__Output>): grpc.ClientUnaryCall;
  listEvents(argument: _espalier_v1_ListEventsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListEventsResponse__Output>): grpc.ClientUnaryCall;
  listEvents(argument: _espalier_v1_ListEventsRequest, callback: grpc.requestCallback<_espalier_v1_ListEventsResponse__Output>): grpc.ClientUnaryCall;
  
  ListModels(argument: _espalier_v1_ListModelsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _espalier_v1_ListModelsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _espalier_v1_ListModelsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _espalier_v1_ListModelsRequest, callback: grpc.requestCallback<_espalier_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  listModels(argument: _espalier_v1_ListModelsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  listModels(argument: _espalier_v1_ListModelsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  listModels(argument: _espalier_v1_ListModelsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  listModels(argument: _espalier_v1_ListModelsRequest, callback: grpc.requestCallback<_espalier_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  
  ListOperators(argument: _espalier_v1_ListOperatorsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListOperatorsResponse__Output>): grpc.ClientUnaryCall;
  ListOperators(argument: _espalier_v1_ListOperatorsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListOperatorsResponse__Output>): grpc.ClientUnaryCall;
  ListOperators(argument: _espalier_v1_ListOperatorsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListOperatorsResponse__Output>): grpc.ClientUnaryCall;
  ListOperators(argument: _espalier_v1_ListOperatorsRequest, callback: grpc.requestCallback<_espalier_v1_ListOperatorsResponse__Output>): grpc.ClientUnaryCall;
  listOperators(argument: _espalier_v1_ListOperatorsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListOperatorsResponse__Output>): grpc.ClientUnaryCall;
  listOperators(argument: _espalier_v1_ListOperatorsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListOperatorsResponse__Output>): grpc.ClientUnaryCall;
  listOperators(argument: _espalier_v1_ListOperatorsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListOperatorsResponse__Output>): grpc.ClientUnaryCall;
  listOperators(argument: _espalier_v1_ListOperatorsRequest, callback: grpc.requestCallback<_espalier_v1_ListOperatorsResponse__Output>): grpc.ClientUnaryCall;
  
  ListProfiles(argument: _espalier_v1_ListProfilesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListProfilesResponse__Output>): grpc.ClientUnaryCall;
  ListProfiles(argument: _espalier_v1_ListProfilesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListProfilesResponse__Output>): grpc.ClientUnaryCall;
  ListProfiles(argument: _espalier_v1_ListProfilesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListProfilesResponse__Output>): grpc.ClientUnaryCall;
  ListProfiles(argument: _espalier_v1_ListProfilesRequest, callback: grpc.requestCallback<_espalier_v1_ListProfilesResponse__Output>): grpc.ClientUnaryCall;
  listProfiles(argument: _espalier_v1_ListProfilesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListProfilesResponse__Output>): grpc.ClientUnaryCall;
  listProfiles(argument: _espalier_v1_ListProfilesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListProfilesResponse__Output>): grpc.ClientUnaryCall;
  listProfiles(argument: _espalier_v1_ListProfilesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListProfilesResponse__Output>): grpc.ClientUnaryCall;
  listProfiles(argument: _espalier_v1_ListProfilesRequest, callback: grpc.requestCallback<_espalier_v1_ListProfilesResponse__Output>): grpc.ClientUnaryCall;
  
  ListReferences(argument: _espalier_v1_ListReferencesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListReferencesResponse__Output>): grpc.ClientUnaryCall;
  ListReferences(argument: _espalier_v1_ListReferencesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListReferencesResponse__Output>): grpc.ClientUnaryCall;
  ListReferences(argument: _espalier_v1_ListReferencesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListReferencesResponse__Output>): grpc.ClientUnaryCall;
  ListReferences(argument: _espalier_v1_ListReferencesRequest, callback: grpc.requestCallback<_espalier_v1_ListReferencesResponse__Output>): grpc.ClientUnaryCall;
  listReferences(argument: _espalier_v1_ListReferencesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListReferencesResponse__Output>): grpc.ClientUnaryCall;
  listReferences(argument: _espalier_v1_ListReferencesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListReferencesResponse__Output>): grpc.ClientUnaryCall;
  listReferences(argument: _espalier_v1_ListReferencesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListReferencesResponse__Output>): grpc.ClientUnaryCall;
  listReferences(argument: _espalier_v1_ListReferencesRequest, callback: grpc.requestCallback<_espalier_v1_ListReferencesResponse__Output>): grpc.ClientUnaryCall;
  
  ListRollouts(argument: _espalier_v1_ListRolloutsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListRolloutsResponse__Output>): grpc.ClientUnaryCall;
  ListRollouts(argument: _espalier_v1_ListRolloutsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListRolloutsResponse__Output>): grpc.ClientUnaryCall;
  ListRollouts(argument: _espalier_v1_ListRolloutsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListRolloutsResponse__Output>): grpc.ClientUnaryCall;
  ListRollouts(argument: _espalier_v1_ListRolloutsRequest, callback: grpc.requestCallback<_espalier_v1_ListRolloutsResponse__Output>): grpc.ClientUnaryCall;
  listRollouts(argument: _espalier_v1_ListRolloutsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListRolloutsResponse__Output>): grpc.ClientUnaryCall;
  listRollouts(argument: _espalier_v1_ListRolloutsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListRolloutsResponse__Output>): grpc.ClientUnaryCall;
  listRollouts(argument: _espalier_v1_ListRolloutsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListRolloutsResponse__Output>): grpc.ClientUnaryCall;
  listRollouts(argument: _espalier_v1_ListRolloutsRequest, callback: grpc.requestCallback<_espalier_v1_ListRolloutsResponse__Output>): grpc.ClientUnaryCall;
  
  ListVariants(argument: _espalier_v1_ListVariantsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListVariantsResponse__Output>): grpc.ClientUnaryCall;
  ListVariants(argument: _espalier_v1_ListVariantsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListVariantsResponse__Output>): grpc.ClientUnaryCall;
  ListVariants(argument: _espalier_v1_ListVariantsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListVariantsResponse__Output>): grpc.ClientUnaryCall;
  ListVariants(argument: _espalier_v1_ListVariantsRequest, callback: grpc.requestCallback<_espalier_v1_ListVariantsResponse__Output>): grpc.ClientUnaryCall;
  listVariants(argument: _espalier_v1_ListVariantsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListVariantsResponse__Output>): grpc.ClientUnaryCall;
  listVariants(argument: _espalier_v1_ListVariantsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ListVariantsResponse__Output>): grpc.ClientUnaryCall;
  listVariants(argument: _espalier_v1_ListVariantsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ListVariantsResponse__Output>): grpc.ClientUnaryCall;
  listVariants(argument: _espalier_v1_ListVariantsRequest, callback: grpc.requestCallback<_espalier_v1_ListVariantsResponse__Output>): grpc.ClientUnaryCall;
  
  MeasureDevices(argument: _espalier_v1_MeasureDevicesRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_MeasureDevicesEvent__Output>;
  MeasureDevices(argument: _espalier_v1_MeasureDevicesRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_MeasureDevicesEvent__Output>;
  measureDevices(argument: _espalier_v1_MeasureDevicesRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_MeasureDevicesEvent__Output>;
  measureDevices(argument: _espalier_v1_MeasureDevicesRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_MeasureDevicesEvent__Output>;
  
  Plan(argument: _espalier_v1_PlanRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_PlanEvent__Output>;
  Plan(argument: _espalier_v1_PlanRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_PlanEvent__Output>;
  plan(argument: _espalier_v1_PlanRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_PlanEvent__Output>;
  plan(argument: _espalier_v1_PlanRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_PlanEvent__Output>;
  
  ProfileModel(argument: _espalier_v1_ProfileModelRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_ProfileModelEvent__Output>;
  ProfileModel(argument: _espalier_v1_ProfileModelRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_ProfileModelEvent__Output>;
  profileModel(argument: _espalier_v1_ProfileModelRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_ProfileModelEvent__Output>;
  profileModel(argument: _espalier_v1_ProfileModelRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_ProfileModelEvent__Output>;
  
  ReadDeviceLogs(argument: _espalier_v1_ReadDeviceLogsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_DeviceLogLines__Output>;
  ReadDeviceLogs(argument: _espalier_v1_ReadDeviceLogsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_DeviceLogLines__Output>;
  readDeviceLogs(argument: _espalier_v1_ReadDeviceLogsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_DeviceLogLines__Output>;
  readDeviceLogs(argument: _espalier_v1_ReadDeviceLogsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_DeviceLogLines__Output>;
  
  ReadVariantFile(argument: _espalier_v1_ReadVariantFileRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_FileData__Output>;
  ReadVariantFile(argument: _espalier_v1_ReadVariantFileRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_FileData__Output>;
  readVariantFile(argument: _espalier_v1_ReadVariantFileRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_FileData__Output>;
  readVariantFile(argument: _espalier_v1_ReadVariantFileRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_FileData__Output>;
  
  ReadmitDevice(argument: _espalier_v1_ReadmitDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ReadmitDeviceResponse__Output>): grpc.ClientUnaryCall;
  ReadmitDevice(argument: _espalier_v1_ReadmitDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ReadmitDeviceResponse__Output>): grpc.ClientUnaryCall;
  ReadmitDevice(argument: _espalier_v1_ReadmitDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ReadmitDeviceResponse__Output>): grpc.ClientUnaryCall;
  ReadmitDevice(argument: _espalier_v1_ReadmitDeviceRequest, callback: grpc.requestCallback<_espalier_v1_ReadmitDeviceResponse__Output>): grpc.ClientUnaryCall;
  readmitDevice(argument: _espalier_v1_ReadmitDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ReadmitDeviceResponse__Output>): grpc.ClientUnaryCall;
  readmitDevice(argument: _espalier_v1_ReadmitDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ReadmitDeviceResponse__Output>): grpc.ClientUnaryCall;
  readmitDevice(argument: _espalier_v1_ReadmitDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ReadmitDeviceResponse__Output>): grpc.ClientUnaryCall;
  readmitDevice(argument: _espalier_v1_ReadmitDeviceRequest, callback: grpc.requestCallback<_espalier_v1_ReadmitDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  ResetCorrections(argument: _espalier_v1_ResetCorrectionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ResetCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  ResetCorrections(argument: _espalier_v1_ResetCorrectionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ResetCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  ResetCorrections(argument: _espalier_v1_ResetCorrectionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ResetCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  ResetCorrections(argument: _espalier_v1_ResetCorrectionsRequest, callback: grpc.requestCallback<_espalier_v1_ResetCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  resetCorrections(argument: _espalier_v1_ResetCorrectionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ResetCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  resetCorrections(argument: _espalier_v1_ResetCorrectionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ResetCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  resetCorrections(argument: _espalier_v1_ResetCorrectionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ResetCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  resetCorrections(argument: _espalier_v1_ResetCorrectionsRequest, callback: grpc.requestCallback<_espalier_v1_ResetCorrectionsResponse__Output>): grpc.ClientUnaryCall;
  
  RevokeDevice(argument: _espalier_v1_RevokeDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RevokeDeviceResponse__Output>): grpc.ClientUnaryCall;
  RevokeDevice(argument: _espalier_v1_RevokeDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RevokeDeviceResponse__Output>): grpc.ClientUnaryCall;
  RevokeDevice(argument: _espalier_v1_RevokeDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RevokeDeviceResponse__Output>): grpc.ClientUnaryCall;
  RevokeDevice(argument: _espalier_v1_RevokeDeviceRequest, callback: grpc.requestCallback<_espalier_v1_RevokeDeviceResponse__Output>): grpc.ClientUnaryCall;
  revokeDevice(argument: _espalier_v1_RevokeDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RevokeDeviceResponse__Output>): grpc.ClientUnaryCall;
  revokeDevice(argument: _espalier_v1_RevokeDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RevokeDeviceResponse__Output>): grpc.ClientUnaryCall;
  revokeDevice(argument: _espalier_v1_RevokeDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RevokeDeviceResponse__Output>): grpc.ClientUnaryCall;
  revokeDevice(argument: _espalier_v1_RevokeDeviceRequest, callback: grpc.requestCallback<_espalier_v1_RevokeDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  RevokeOperator(argument: _espalier_v1_RevokeOperatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RevokeOperatorResponse__Output>): grpc.ClientUnaryCall;
  RevokeOperator(argument: _espalier_v1_RevokeOperatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RevokeOperatorResponse__Output>): grpc.ClientUnaryCall;
  RevokeOperator(argument: _espalier_v1_RevokeOperatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RevokeOperatorResponse__Output>): grpc.ClientUnaryCall;
  RevokeOperator(argument: _espalier_v1_RevokeOperatorRequest, callback: grpc.requestCallback<_espalier_v1_RevokeOperatorResponse__Output>): grpc.ClientUnaryCall;
  revokeOperator(argument: _espalier_v1_RevokeOperatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RevokeOperatorResponse__Output>): grpc.ClientUnaryCall;
  revokeOperator(argument: _espalier_v1_RevokeOperatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RevokeOperatorResponse__Output>): grpc.ClientUnaryCall;
  revokeOperator(argument: _espalier_v1_RevokeOperatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RevokeOperatorResponse__Output>): grpc.ClientUnaryCall;
  revokeOperator(argument: _espalier_v1_RevokeOperatorRequest, callback: grpc.requestCallback<_espalier_v1_RevokeOperatorResponse__Output>): grpc.ClientUnaryCall;
  
  SearchModel(argument: _espalier_v1_SearchModelRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_SearchModelEvent__Output>;
  SearchModel(argument: _espalier_v1_SearchModelRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_SearchModelEvent__Output>;
  searchModel(argument: _espalier_v1_SearchModelRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_SearchModelEvent__Output>;
  searchModel(argument: _espalier_v1_SearchModelRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_SearchModelEvent__Output>;
  
  StartRollout(argument: _espalier_v1_StartRolloutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  StartRollout(argument: _espalier_v1_StartRolloutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  StartRollout(argument: _espalier_v1_StartRolloutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  StartRollout(argument: _espalier_v1_StartRolloutRequest, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  startRollout(argument: _espalier_v1_StartRolloutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  startRollout(argument: _espalier_v1_StartRolloutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  startRollout(argument: _espalier_v1_StartRolloutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  startRollout(argument: _espalier_v1_StartRolloutRequest, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  
  UndoRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  UndoRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  UndoRollout(argument: _espalier_v1_GetRolloutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  UndoRollout(argument: _espalier_v1_GetRolloutRequest, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  undoRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  undoRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  undoRollout(argument: _espalier_v1_GetRolloutRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  undoRollout(argument: _espalier_v1_GetRolloutRequest, callback: grpc.requestCallback<_espalier_v1_RolloutResponse__Output>): grpc.ClientUnaryCall;
  
  WatchRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_RolloutResponse__Output>;
  WatchRollout(argument: _espalier_v1_GetRolloutRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_RolloutResponse__Output>;
  watchRollout(argument: _espalier_v1_GetRolloutRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_RolloutResponse__Output>;
  watchRollout(argument: _espalier_v1_GetRolloutRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_RolloutResponse__Output>;
  
}

export interface OperatorHandlers extends grpc.UntypedServiceImplementation {
  ControlRollout: grpc.handleUnaryCall<_espalier_v1_ControlRolloutRequest__Output, _espalier_v1_RolloutResponse>;
  
  CreateOperator: grpc.handleUnaryCall<_espalier_v1_CreateOperatorRequest__Output, _espalier_v1_CreateOperatorResponse>;
  
  CreateToken: grpc.handleUnaryCall<_espalier_v1_CreateTokenRequest__Output, _espalier_v1_CreateTokenResponse>;
  
  DecommissionDevice: grpc.handleUnaryCall<_espalier_v1_DecommissionDeviceRequest__Output, _espalier_v1_DecommissionDeviceResponse>;
  
  Diagnose: grpc.handleUnaryCall<_espalier_v1_DiagnoseRequest__Output, _espalier_v1_DiagnoseResponse>;
  
  GetRollout: grpc.handleUnaryCall<_espalier_v1_GetRolloutRequest__Output, _espalier_v1_RolloutResponse>;
  
  GetStatus: grpc.handleUnaryCall<_espalier_v1_GetStatusRequest__Output, _espalier_v1_GetStatusResponse>;
  
  ImportDataset: grpc.handleClientStreamingCall<_espalier_v1_UploadMessage__Output, _espalier_v1_ImportResponse>;
  
  ImportModel: grpc.handleClientStreamingCall<_espalier_v1_UploadMessage__Output, _espalier_v1_ImportResponse>;
  
  ImportReference: grpc.handleUnaryCall<_espalier_v1_ImportReferenceRequest__Output, _espalier_v1_ImportReferenceResponse>;
  
  LabelDevice: grpc.handleUnaryCall<_espalier_v1_LabelDeviceRequest__Output, _espalier_v1_LabelDeviceResponse>;
  
  ListAudit: grpc.handleUnaryCall<_espalier_v1_ListAuditRequest__Output, _espalier_v1_ListAuditResponse>;
  
  ListCorrections: grpc.handleUnaryCall<_espalier_v1_ListCorrectionsRequest__Output, _espalier_v1_ListCorrectionsResponse>;
  
  ListDevices: grpc.handleUnaryCall<_espalier_v1_ListDevicesRequest__Output, _espalier_v1_ListDevicesResponse>;
  
  ListEvents: grpc.handleUnaryCall<_espalier_v1_ListEventsRequest__Output, _espalier_v1_ListEventsResponse>;
  
  ListModels: grpc.handleUnaryCall<_espalier_v1_ListModelsRequest__Output, _espalier_v1_ListModelsResponse>;
  
  ListOperators: grpc.handleUnaryCall<_espalier_v1_ListOperatorsRequest__Output, _espalier_v1_ListOperatorsResponse>;
  
  ListProfiles: grpc.handleUnaryCall<_espalier_v1_ListProfilesRequest__Output, _espalier_v1_ListProfilesResponse>;
  
  ListReferences: grpc.handleUnaryCall<_espalier_v1_ListReferencesRequest__Output, _espalier_v1_ListReferencesResponse>;
  
  ListRollouts: grpc.handleUnaryCall<_espalier_v1_ListRolloutsRequest__Output, _espalier_v1_ListRolloutsResponse>;
  
  ListVariants: grpc.handleUnaryCall<_espalier_v1_ListVariantsRequest__Output, _espalier_v1_ListVariantsResponse>;
  
  MeasureDevices: grpc.handleServerStreamingCall<_espalier_v1_MeasureDevicesRequest__Output, _espalier_v1_MeasureDevicesEvent>;
  
  Plan: grpc.handleServerStreamingCall<_espalier_v1_PlanRequest__Output, _espalier_v1_PlanEvent>;
  
  ProfileModel: grpc.handleServerStreamingCall<_espalier_v1_ProfileModelRequest__Output, _espalier_v1_ProfileModelEvent>;
  
  ReadDeviceLogs: grpc.handleServerStreamingCall<_espalier_v1_ReadDeviceLogsRequest__Output, _espalier_v1_DeviceLogLines>;
  
  ReadVariantFile: grpc.handleServerStreamingCall<_espalier_v1_ReadVariantFileRequest__Output, _espalier_v1_FileData>;
  
  ReadmitDevice: grpc.handleUnaryCall<_espalier_v1_ReadmitDeviceRequest__Output, _espalier_v1_ReadmitDeviceResponse>;
  
  ResetCorrections: grpc.handleUnaryCall<_espalier_v1_ResetCorrectionsRequest__Output, _espalier_v1_ResetCorrectionsResponse>;
  
  RevokeDevice: grpc.handleUnaryCall<_espalier_v1_RevokeDeviceRequest__Output, _espalier_v1_RevokeDeviceResponse>;
  
  RevokeOperator: grpc.handleUnaryCall<_espalier_v1_RevokeOperatorRequest__Output, _espalier_v1_RevokeOperatorResponse>;
  
  SearchModel: grpc.handleServerStreamingCall<_espalier_v1_SearchModelRequest__Output, _espalier_v1_SearchModelEvent>;
  
  StartRollout: grpc.handleUnaryCall<_espalier_v1_StartRolloutRequest__Output, _espalier_v1_RolloutResponse>;
  
  UndoRollout: grpc.handleUnaryCall<_espalier_v1_GetRolloutRequest__Output, _espalier_v1_RolloutResponse>;
  
  WatchRollout: grpc.handleServerStreamingCall<_espalier_v1_GetRolloutRequest__Output, _espalier_v1_RolloutResponse>;
  
}

export interface OperatorDefinition extends grpc.ServiceDefinition {
  ControlRollout: MethodDefinition<_espalier_v1_ControlRolloutRequest, _espalier_v1_RolloutResponse, _espalier_v1_ControlRolloutRequest__Output, _espalier_v1_RolloutResponse__Output>
  CreateOperator: MethodDefinition<_espalier_v1_CreateOperatorRequest, _espalier_v1_CreateOperatorResponse, _espalier_v1_CreateOperatorRequest__Output, _espalier_v1_CreateOperatorResponse__Output>
  CreateToken: MethodDefinition<_espalier_v1_CreateTokenRequest, _espalier_v1_CreateTokenResponse, _espalier_v1_CreateTokenRequest__Output, _espalier_v1_CreateTokenResponse__Output>
  DecommissionDevice: MethodDefinition<_espalier_v1_DecommissionDeviceRequest, _espalier_v1_DecommissionDeviceResponse, _espalier_v1_DecommissionDeviceRequest__Output, _espalier_v1_DecommissionDeviceResponse__Output>
  Diagnose: MethodDefinition<_espalier_v1_DiagnoseRequest, _espalier_v1_DiagnoseResponse, _espalier_v1_DiagnoseRequest__Output, _espalier_v1_DiagnoseResponse__Output>
  GetRollout: MethodDefinition<_espalier_v1_GetRolloutRequest, _espalier_v1_RolloutResponse, _espalier_v1_GetRolloutRequest__Output, _espalier_v1_RolloutResponse__Output>
  GetStatus: MethodDefinition<_espalier_v1_GetStatusRequest, _espalier_v1_GetStatusResponse, _espalier_v1_GetStatusRequest__Output, _espalier_v1_GetStatusResponse__Output>
  ImportDataset: MethodDefinition<_espalier_v1_UploadMessage, _espalier_v1_ImportResponse, _espalier_v1_UploadMessage__Output, _espalier_v1_ImportResponse__Output>
  ImportModel: MethodDefinition<_espalier_v1_UploadMessage, _espalier_v1_ImportResponse, _espalier_v1_UploadMessage__Output, _espalier_v1_ImportResponse__Output>
  ImportReference: MethodDefinition<_espalier_v1_ImportReferenceRequest, _espalier_v1_ImportReferenceResponse, _espalier_v1_ImportReferenceRequest__Output, _espalier_v1_ImportReferenceResponse__Output>
  LabelDevice: MethodDefinition<_espalier_v1_LabelDeviceRequest, _espalier_v1_LabelDeviceResponse, _espalier_v1_LabelDeviceRequest__Output, _espalier_v1_LabelDeviceResponse__Output>
  ListAudit: MethodDefinition<_espalier_v1_ListAuditRequest, _espalier_v1_ListAuditResponse, _espalier_v1_ListAuditRequest__Output, _espalier_v1_ListAuditResponse__Output>
  ListCorrections: MethodDefinition<_espalier_v1_ListCorrectionsRequest, _espalier_v1_ListCorrectionsResponse, _espalier_v1_ListCorrectionsRequest__Output, _espalier_v1_ListCorrectionsResponse__Output>
  ListDevices: MethodDefinition<_espalier_v1_ListDevicesRequest, _espalier_v1_ListDevicesResponse, _espalier_v1_ListDevicesRequest__Output, _espalier_v1_ListDevicesResponse__Output>
  ListEvents: MethodDefinition<_espalier_v1_ListEventsRequest, _espalier_v1_ListEventsResponse, _espalier_v1_ListEventsRequest__Output, _espalier_v1_ListEventsResponse__Output>
  ListModels: MethodDefinition<_espalier_v1_ListModelsRequest, _espalier_v1_ListModelsResponse, _espalier_v1_ListModelsRequest__Output, _espalier_v1_ListModelsResponse__Output>
  ListOperators: MethodDefinition<_espalier_v1_ListOperatorsRequest, _espalier_v1_ListOperatorsResponse, _espalier_v1_ListOperatorsRequest__Output, _espalier_v1_ListOperatorsResponse__Output>
  ListProfiles: MethodDefinition<_espalier_v1_ListProfilesRequest, _espalier_v1_ListProfilesResponse, _espalier_v1_ListProfilesRequest__Output, _espalier_v1_ListProfilesResponse__Output>
  ListReferences: MethodDefinition<_espalier_v1_ListReferencesRequest, _espalier_v1_ListReferencesResponse, _espalier_v1_ListReferencesRequest__Output, _espalier_v1_ListReferencesResponse__Output>
  ListRollouts: MethodDefinition<_espalier_v1_ListRolloutsRequest, _espalier_v1_ListRolloutsResponse, _espalier_v1_ListRolloutsRequest__Output, _espalier_v1_ListRolloutsResponse__Output>
  ListVariants: MethodDefinition<_espalier_v1_ListVariantsRequest, _espalier_v1_ListVariantsResponse, _espalier_v1_ListVariantsRequest__Output, _espalier_v1_ListVariantsResponse__Output>
  MeasureDevices: MethodDefinition<_espalier_v1_MeasureDevicesRequest, _espalier_v1_MeasureDevicesEvent, _espalier_v1_MeasureDevicesRequest__Output, _espalier_v1_MeasureDevicesEvent__Output>
  Plan: MethodDefinition<_espalier_v1_PlanRequest, _espalier_v1_PlanEvent, _espalier_v1_PlanRequest__Output, _espalier_v1_PlanEvent__Output>
  ProfileModel: MethodDefinition<_espalier_v1_ProfileModelRequest, _espalier_v1_ProfileModelEvent, _espalier_v1_ProfileModelRequest__Output, _espalier_v1_ProfileModelEvent__Output>
  ReadDeviceLogs: MethodDefinition<_espalier_v1_ReadDeviceLogsRequest, _espalier_v1_DeviceLogLines, _espalier_v1_ReadDeviceLogsRequest__Output, _espalier_v1_DeviceLogLines__Output>
  ReadVariantFile: MethodDefinition<_espalier_v1_ReadVariantFileRequest, _espalier_v1_FileData, _espalier_v1_ReadVariantFileRequest__Output, _espalier_v1_FileData__Output>
  ReadmitDevice: MethodDefinition<_espalier_v1_ReadmitDeviceRequest, _espalier_v1_ReadmitDeviceResponse, _espalier_v1_ReadmitDeviceRequest__Output, _espalier_v1_ReadmitDeviceResponse__Output>
  ResetCorrections: MethodDefinition<_espalier_v1_ResetCorrectionsRequest, _espalier_v1_ResetCorrectionsResponse, _espalier_v1_ResetCorrectionsRequest__Output, _espalier_v1_ResetCorrectionsResponse__Output>
  RevokeDevice: MethodDefinition<_espalier_v1_RevokeDeviceRequest, _espalier_v1_RevokeDeviceResponse, _espalier_v1_RevokeDeviceRequest__Output, _espalier_v1_RevokeDeviceResponse__Output>
  RevokeOperator: MethodDefinition<_espalier_v1_RevokeOperatorRequest, _espalier_v1_RevokeOperatorResponse, _espalier_v1_RevokeOperatorRequest__Output, _espalier_v1_RevokeOperatorResponse__Output>
  SearchModel: MethodDefinition<_espalier_v1_SearchModelRequest, _espalier_v1_SearchModelEvent, _espalier_v1_SearchModelRequest__Output, _espalier_v1_SearchModelEvent__Output>
  StartRollout: MethodDefinition<_espalier_v1_StartRolloutRequest, _espalier_v1_RolloutResponse, _espalier_v1_StartRolloutRequest__Output, _espalier_v1_RolloutResponse__Output>
  UndoRollout: MethodDefinition<_espalier_v1_GetRolloutRequest, _espalier_v1_RolloutResponse, _espalier_v1_GetRolloutRequest__Output, _espalier_v1_RolloutResponse__Output>
  WatchRollout: MethodDefinition<_espalier_v1_GetRolloutRequest, _espalier_v1_RolloutResponse, _espalier_v1_GetRolloutRequest__Output, _espalier_v1_RolloutResponse__Output>
}
