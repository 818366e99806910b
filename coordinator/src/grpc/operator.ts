import type { ControlRolloutRequest__Output } from "@espalier/shared/generated/espalier/v1/ControlRolloutRequest";
import type { CreateTokenRequest__Output } from "@espalier/shared/generated/espalier/v1/CreateTokenRequest";
import type { CreateTokenResponse } from "@espalier/shared/generated/espalier/v1/CreateTokenResponse";
import type { FileData } from "@espalier/shared/generated/espalier/v1/FileData";
import type { GetRolloutRequest__Output } from "@espalier/shared/generated/espalier/v1/GetRolloutRequest";
import type { GetStatusRequest__Output } from "@espalier/shared/generated/espalier/v1/GetStatusRequest";
import type { GetStatusResponse } from "@espalier/shared/generated/espalier/v1/GetStatusResponse";
import type { ImportResponse } from "@espalier/shared/generated/espalier/v1/ImportResponse";
import type { ListDevicesRequest__Output } from "@espalier/shared/generated/espalier/v1/ListDevicesRequest";
import type { ListDevicesResponse } from "@espalier/shared/generated/espalier/v1/ListDevicesResponse";
import type { ListModelsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListModelsRequest";
import type { ListModelsResponse } from "@espalier/shared/generated/espalier/v1/ListModelsResponse";
import type { ListRolloutsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListRolloutsRequest";
import type { ListRolloutsResponse } from "@espalier/shared/generated/espalier/v1/ListRolloutsResponse";
import type { ListVariantsRequest__Output } from "@espalier/shared/generated/espalier/v1/ListVariantsRequest";
import type { ListVariantsResponse } from "@espalier/shared/generated/espalier/v1/ListVariantsResponse";
import type { MeasureDevicesEvent } from "@espalier/shared/generated/espalier/v1/MeasureDevicesEvent";
import type { MeasureDevicesRequest__Output } from "@espalier/shared/generated/espalier/v1/MeasureDevicesRequest";
import type { OperatorHandlers } from "@espalier/shared/generated/espalier/v1/Operator";
import type { PlanEvent } from "@espalier/shared/generated/espalier/v1/PlanEvent";
import type { PlanRequest__Output } from "@espalier/shared/generated/espalier/v1/PlanRequest";
import type { ReadVariantFileRequest__Output } from "@espalier/shared/generated/espalier/v1/ReadVariantFileRequest";
import type { RevokeDeviceRequest__Output } from "@espalier/shared/generated/espalier/v1/RevokeDeviceRequest";
import type { RevokeDeviceResponse } from "@espalier/shared/generated/espalier/v1/RevokeDeviceResponse";
import type { RolloutResponse } from "@espalier/shared/generated/espalier/v1/RolloutResponse";
import type { StartRolloutRequest__Output } from "@espalier/shared/generated/espalier/v1/StartRolloutRequest";
import type { UploadMessage__Output } from "@espalier/shared/generated/espalier/v1/UploadMessage";
import type { Logger } from "@espalier/shared/logging";
import { type ClientStream, type ServerStream, serveStream, serveUnary, serveUpload, type Unary } from "./methods.ts";

export interface StatusMethods {
  getStatus: Unary<GetStatusRequest__Output, GetStatusResponse>;
  createToken: Unary<CreateTokenRequest__Output, CreateTokenResponse>;
}
export interface DeviceMethods {
  listDevices: Unary<ListDevicesRequest__Output, ListDevicesResponse>;
  revokeDevice: Unary<RevokeDeviceRequest__Output, RevokeDeviceResponse>;
  measureDevices: ServerStream<MeasureDevicesRequest__Output, MeasureDevicesEvent>;
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
export interface RolloutMethods {
  startRollout: Unary<StartRolloutRequest__Output, RolloutResponse>;
  getRollout: Unary<GetRolloutRequest__Output, RolloutResponse>;
  listRollouts: Unary<ListRolloutsRequest__Output, ListRolloutsResponse>;
  watchRollout: ServerStream<GetRolloutRequest__Output, RolloutResponse>;
  controlRollout: Unary<ControlRolloutRequest__Output, RolloutResponse>;
}

/** The operator API: groups of handlers, each made in the folder of its subject. */
export type OperatorMethods = StatusMethods &
  DeviceMethods &
  ImportMethods &
  VariantMethods &
  PlanMethods &
  RolloutMethods;

/** Serves the methods to certificates of operators only. */
export function operatorHandlers(methods: OperatorMethods, log: Logger): OperatorHandlers {
  return {
    GetStatus: serveUnary(methods.getStatus, log),
    CreateToken: serveUnary(methods.createToken, log),
    ListDevices: serveUnary(methods.listDevices, log),
    RevokeDevice: serveUnary(methods.revokeDevice, log),
    MeasureDevices: serveStream(methods.measureDevices, log),
    ImportModel: serveUpload(methods.importModel, log),
    ImportDataset: serveUpload(methods.importDataset, log),
    ListModels: serveUnary(methods.listModels, log),
    ListVariants: serveUnary(methods.listVariants, log),
    ReadVariantFile: serveStream(methods.readVariantFile, log),
    Plan: serveStream(methods.plan, log),
    StartRollout: serveUnary(methods.startRollout, log),
    GetRollout: serveUnary(methods.getRollout, log),
    ListRollouts: serveUnary(methods.listRollouts, log),
    WatchRollout: serveStream(methods.watchRollout, log),
    ControlRollout: serveUnary(methods.controlRollout, log),
  };
}
