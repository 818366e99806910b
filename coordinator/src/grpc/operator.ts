import type { ControlRolloutRequest__Output } from "@espalier/shared/generated/espalier/v1/ControlRolloutRequest";
import type { CreateOperatorRequest__Output } from "@espalier/shared/generated/espalier/v1/CreateOperatorRequest";
import type { CreateOperatorResponse } from "@espalier/shared/generated/espalier/v1/CreateOperatorResponse";
import type { CreateTokenRequest__Output } from "@espalier/shared/generated/espalier/v1/CreateTokenRequest";
import type { CreateTokenResponse } from "@espalier/shared/generated/espalier/v1/CreateTokenResponse";
import type { DecommissionDeviceRequest__Output } from "@espalier/shared/generated/espalier/v1/DecommissionDeviceRequest";
import type { DecommissionDeviceResponse } from "@espalier/shared/generated/espalier/v1/DecommissionDeviceResponse";
import type { DeviceLogLines } from "@espalier/shared/generated/espalier/v1/DeviceLogLines";
import type { DiagnoseRequest__Output } from "@espalier/shared/generated/espalier/v1/DiagnoseRequest";
import type { DiagnoseResponse } from "@espalier/shared/generated/espalier/v1/DiagnoseResponse";
import type { FileData } from "@espalier/shared/generated/espalier/v1/FileData";
import type { GetRolloutRequest__Output } from "@espalier/shared/generated/espalier/v1/GetRolloutRequest";
import type { GetStatusRequest__Output } from "@espalier/shared/generated/espalier/v1/GetStatusRequest";
import type { GetStatusResponse } from "@espalier/shared/generated/espalier/v1/GetStatusResponse";
import type { ImportReferenceRequest__Output } from "@espalier/shared/generated/espalier/v1/ImportReferenceRequest";
import type { ImportReferenceResponse } from "@espalier/shared/generated/espalier/v1/ImportReferenceResponse";
import type { ImportResponse } from "@espalier/shared/generated/espalier/v1/ImportResponse";
import type { LabelDeviceRequest__Output } from "@espalier/shared/generated/espalier/v1/LabelDeviceRequest";
import type { LabelDeviceResponse } from "@espalier/shared/generated/espalier/v1/LabelDeviceResponse";
import type { ListAuditRequest__Output } from "@espalier/shared/generated/espalier/v1/ListAuditRequest";
import type { ListAuditResponse } from "@espalier/shared/generated/espalier/v1/ListAuditResponse";
import type { ListCorrectionsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListCorrectionsRequest";
import type { ListCorrectionsResponse } from "@espalier/shared/generated/espalier/v1/ListCorrectionsResponse";
import type { ListDevicesRequest__Output } from "@espalier/shared/generated/espalier/v1/ListDevicesRequest";
import type { ListDevicesResponse } from "@espalier/shared/generated/espalier/v1/ListDevicesResponse";
import type { ListEventsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListEventsRequest";
import type { ListEventsResponse } from "@espalier/shared/generated/espalier/v1/ListEventsResponse";
import type { ListModelsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListModelsRequest";
import type { ListModelsResponse } from "@espalier/shared/generated/espalier/v1/ListModelsResponse";
import type { ListOperatorsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListOperatorsRequest";
import type { ListOperatorsResponse } from "@espalier/shared/generated/espalier/v1/ListOperatorsResponse";
import type { ListProfilesRequest__Output } from "@espalier/shared/generated/espalier/v1/ListProfilesRequest";
import type { ListProfilesResponse } from "@espalier/shared/generated/espalier/v1/ListProfilesResponse";
import type { ListReferencesRequest__Output } from "@espalier/shared/generated/espalier/v1/ListReferencesRequest";
import type { ListReferencesResponse } from "@espalier/shared/generated/espalier/v1/ListReferencesResponse";
import type { ListRolloutsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListRolloutsRequest";
import type { ListRolloutsResponse } from "@espalier/shared/generated/espalier/v1/ListRolloutsResponse";
import type { ListVariantsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListVariantsRequest";
import type { ListVariantsResponse } from "@espalier/shared/generated/espalier/v1/ListVariantsResponse";
import type { MeasureDevicesEvent } from "@espalier/shared/generated/espalier/v1/MeasureDevicesEvent";
import type { MeasureDevicesRequest__Output } from "@espalier/shared/generated/espalier/v1/MeasureDevicesRequest";
import type { OperatorHandlers } from "@espalier/shared/generated/espalier/v1/Operator";
import type { PlanEvent } from "@espalier/shared/generated/espalier/v1/PlanEvent";
import type { PlanRequest__Output } from "@espalier/shared/generated/espalier/v1/PlanRequest";
import type { ProfileModelEvent } from "@espalier/shared/generated/espalier/v1/ProfileModelEvent";
import type { ProfileModelRequest__Output } from "@espalier/shared/generated/espalier/v1/ProfileModelRequest";
import type { ReadDeviceLogsRequest__Output } from "@espalier/shared/generated/espalier/v1/ReadDeviceLogsRequest";
import type { ReadmitDeviceRequest__Output } from "@espalier/shared/generated/espalier/v1/ReadmitDeviceRequest";
import type { ReadmitDeviceResponse } from "@espalier/shared/generated/espalier/v1/ReadmitDeviceResponse";
import type { ReadVariantFileRequest__Output } from "@espalier/shared/generated/espalier/v1/ReadVariantFileRequest";
import type { ResetCorrectionsRequest__Output } from "@espalier/shared/generated/espalier/v1/ResetCorrectionsRequest";
import type { ResetCorrectionsResponse } from "@espalier/shared/generated/espalier/v1/ResetCorrectionsResponse";
import type { RevokeDeviceRequest__Output } from "@espalier/shared/generated/espalier/v1/RevokeDeviceRequest";
import type { RevokeDeviceResponse } from "@espalier/shared/generated/espalier/v1/RevokeDeviceResponse";
import type { RevokeOperatorRequest__Output } from "@espalier/shared/generated/espalier/v1/RevokeOperatorRequest";
import type { RevokeOperatorResponse } from "@espalier/shared/generated/espalier/v1/RevokeOperatorResponse";
import type { RolloutResponse } from "@espalier/shared/generated/espalier/v1/RolloutResponse";
import type { SearchModelEvent } from "@espalier/shared/generated/espalier/v1/SearchModelEvent";
import type { SearchModelRequest__Output } from "@espalier/shared/generated/espalier/v1/SearchModelRequest";
import type { StartRolloutRequest__Output } from "@espalier/shared/generated/espalier/v1/StartRolloutRequest";
import type { UploadMessage__Output } from "@espalier/shared/generated/espalier/v1/UploadMessage";
import type { Logger } from "@espalier/shared/logging";
import type { OperatorAccess } from "../operator/access.ts";
import { type ClientStream, type ServerStream, serveStream, serveUnary, serveUpload, type Unary } from "./methods.ts";

export interface AccountMethods {
  createOperator: Unary<CreateOperatorRequest__Output, CreateOperatorResponse>;
  listOperators: Unary<ListOperatorsRequest__Output, ListOperatorsResponse>;
  revokeOperator: Unary<RevokeOperatorRequest__Output, RevokeOperatorResponse>;
  listAudit: Unary<ListAuditRequest__Output, ListAuditResponse>;
}
export interface DiagnoseMethods {
  diagnose: Unary<DiagnoseRequest__Output, DiagnoseResponse>;
}
export interface StatusMethods {
  getStatus: Unary<GetStatusRequest__Output, GetStatusResponse>;
  createToken: Unary<CreateTokenRequest__Output, CreateTokenResponse>;
}
export interface DeviceMethods {
  listDevices: Unary<ListDevicesRequest__Output, ListDevicesResponse>;
  labelDevice: Unary<LabelDeviceRequest__Output, LabelDeviceResponse>;
  revokeDevice: Unary<RevokeDeviceRequest__Output, RevokeDeviceResponse>;
  readmitDevice: Unary<ReadmitDeviceRequest__Output, ReadmitDeviceResponse>;
  decommissionDevice: Unary<DecommissionDeviceRequest__Output, DecommissionDeviceResponse>;
  measureDevices: ServerStream<MeasureDevicesRequest__Output, MeasureDevicesEvent>;
  listProfiles: Unary<ListProfilesRequest__Output, ListProfilesResponse>;
}
export interface LogMethods {
  readDeviceLogs: ServerStream<ReadDeviceLogsRequest__Output, DeviceLogLines>;
}
export interface EventMethods {
  listEvents: Unary<ListEventsRequest__Output, ListEventsResponse>;
}
export interface ImportMethods {
  importModel: ClientStream<UploadMessage__Output, ImportResponse>;
  importDataset: ClientStream<UploadMessage__Output, ImportResponse>;
  listModels: Unary<ListModelsRequest__Output, ListModelsResponse>;
}
export interface VariantMethods {
  listVariants: Unary<ListVariantsRequest__Output, ListVariantsResponse>;
  readVariantFile: ServerStream<ReadVariantFileRequest__Output, FileData>;
}
export interface PlanMethods {
  plan: ServerStream<PlanRequest__Output, PlanEvent>;
}
export interface CorrectionMethods {
  listCorrections: Unary<ListCorrectionsRequest__Output, ListCorrectionsResponse>;
  resetCorrections: Unary<ResetCorrectionsRequest__Output, ResetCorrectionsResponse>;
}
export interface ReferenceMethods {
  listReferences: Unary<ListReferencesRequest__Output, ListReferencesResponse>;
  importReference: Unary<ImportReferenceRequest__Output, ImportReferenceResponse>;
}
export interface ProfileMethods {
  profileModel: ServerStream<ProfileModelRequest__Output, ProfileModelEvent>;
}
export interface SearchMethods {
  searchModel: ServerStream<SearchModelRequest__Output, SearchModelEvent>;
}
export interface RolloutMethods {
  startRollout: Unary<StartRolloutRequest__Output, RolloutResponse>;
  getRollout: Unary<GetRolloutRequest__Output, RolloutResponse>;
  listRollouts: Unary<ListRolloutsRequest__Output, ListRolloutsResponse>;
  watchRollout: ServerStream<GetRolloutRequest__Output, RolloutResponse>;
  controlRollout: Unary<ControlRolloutRequest__Output, RolloutResponse>;
  undoRollout: Unary<GetRolloutRequest__Output, RolloutResponse>;
}

/** The operator API: groups of handlers, each made in the folder of its subject. */
export type OperatorMethods = StatusMethods &
  DiagnoseMethods &
  AccountMethods &
  DeviceMethods &
  EventMethods &
  LogMethods &
  ImportMethods &
  VariantMethods &
  PlanMethods &
  CorrectionMethods &
  ReferenceMethods &
  ProfileMethods &
  SearchMethods &
  RolloutMethods;

/** Serves the methods to operators whose role allows them (operator/rules.ts). */
export function operatorHandlers(methods: OperatorMethods, access: OperatorAccess, log: Logger): OperatorHandlers {
  const { entrance } = access;
  return {
    GetStatus: serveUnary(methods.getStatus, entrance("GetStatus"), log),
    Diagnose: serveUnary(methods.diagnose, entrance("Diagnose"), log),
    CreateOperator: serveUnary(methods.createOperator, entrance("CreateOperator"), log),
    ListOperators: serveUnary(methods.listOperators, entrance("ListOperators"), log),
    RevokeOperator: serveUnary(methods.revokeOperator, entrance("RevokeOperator"), log),
    ListAudit: serveUnary(methods.listAudit, entrance("ListAudit"), log),
    CreateToken: serveUnary(methods.createToken, entrance("CreateToken"), log),
    ListDevices: serveUnary(methods.listDevices, entrance("ListDevices"), log),
    LabelDevice: serveUnary(methods.labelDevice, entrance("LabelDevice"), log),
    ListEvents: serveUnary(methods.listEvents, entrance("ListEvents"), log),
    ListProfiles: serveUnary(methods.listProfiles, entrance("ListProfiles"), log),
    ListReferences: serveUnary(methods.listReferences, entrance("ListReferences"), log),
    ImportReference: serveUnary(methods.importReference, entrance("ImportReference"), log),
    ReadDeviceLogs: serveStream(methods.readDeviceLogs, entrance("ReadDeviceLogs"), log),
    RevokeDevice: serveUnary(methods.revokeDevice, entrance("RevokeDevice"), log),
    ReadmitDevice: serveUnary(methods.readmitDevice, entrance("ReadmitDevice"), log),
    DecommissionDevice: serveUnary(methods.decommissionDevice, entrance("DecommissionDevice"), log),
    MeasureDevices: serveStream(methods.measureDevices, entrance("MeasureDevices"), log),
    ImportModel: serveUpload(methods.importModel, entrance("ImportModel"), log),
    ImportDataset: serveUpload(methods.importDataset, entrance("ImportDataset"), log),
    ListModels: serveUnary(methods.listModels, entrance("ListModels"), log),
    ProfileModel: serveStream(methods.profileModel, entrance("ProfileModel"), log),
    SearchModel: serveStream(methods.searchModel, entrance("SearchModel"), log),
    ListVariants: serveUnary(methods.listVariants, entrance("ListVariants"), log),
    ReadVariantFile: serveStream(methods.readVariantFile, entrance("ReadVariantFile"), log),
    Plan: serveStream(methods.plan, entrance("Plan"), log),
    ListCorrections: serveUnary(methods.listCorrections, entrance("ListCorrections"), log),
    ResetCorrections: serveUnary(methods.resetCorrections, entrance("ResetCorrections"), log),
    StartRollout: serveUnary(methods.startRollout, entrance("StartRollout"), log),
    GetRollout: serveUnary(methods.getRollout, entrance("GetRollout"), log),
    ListRollouts: serveUnary(methods.listRollouts, entrance("ListRollouts"), log),
    WatchRollout: serveStream(methods.watchRollout, entrance("WatchRollout"), log),
    ControlRollout: serveUnary(methods.controlRollout, entrance("ControlRollout"), log),
    UndoRollout: serveUnary(methods.undoRollout, entrance("UndoRollout"), log),
  };
}
