import type { Role } from "@espalier/shared/contracts/role";
import type { OperatorDefinition, OperatorHandlers } from "@espalier/shared/generated/espalier/v1/Operator";
import type { MethodDefinition } from "@grpc/proto-loader";

/** The calls of operator.proto (without the index signature that gRPC's types carry). */
export type OperatorMethod = keyof {
  [Name in keyof OperatorHandlers as string extends Name ? never : number extends Name ? never : Name]: true;
} &
  keyof OperatorDefinition;

/** What a call begins with: its request; of an upload, the first message. */
export type RequestOf<Method extends OperatorMethod> =
  OperatorDefinition[Method] extends MethodDefinition<infer _In, infer _Out, infer Request, infer _Response>
    ? Request
    : never;

export interface Rule<Request> {
  /** The least role that may call it. */
  readonly role: Role;
  /** What the call is about, for the audit log; null for a call that changes nothing and is not kept there. */
  readonly subject: ((request: Request) => string) | null;
}

const reads = { role: "viewer", subject: null } as const;
const specName = ({ spec }: { spec: { json: string } | null }): string => {
  try {
    const { name } = JSON.parse(spec?.json ?? "") as { name?: unknown };
    return typeof name === "string" ? name.slice(0, 100) : "";
  } catch {
    // The handler refuses what can't be read; the refusal is what the audit log tells.
    return "";
  }
};

/** Who may do what: one row per call, and a call of operator.proto without a row doesn't compile. */
export const operatorRules: { readonly [Method in OperatorMethod]: Rule<RequestOf<Method>> } = {
  GetStatus: reads,
  Diagnose: reads,

  CreateOperator: { role: "admin", subject: ({ name, role }) => `${name} as ${role}` },
  ListOperators: reads,
  RevokeOperator: { role: "admin", subject: ({ name }) => name },
  ListAudit: reads,

  CreateToken: { role: "operator", subject: ({ labels }) => pairs(labels) },
  ListDevices: reads,
  LabelDevice: {
    role: "operator",
    subject: ({ device, set, remove }) => [device, pairs(set), ...remove.map((key) => `${key}-`)].join(" ").trim(),
  },
  ListEvents: reads,
  ListProfiles: reads,
  ListReferences: reads,
  ImportReference: { role: "operator", subject: ({ name }) => name },
  ReadDeviceLogs: reads,
  RevokeDevice: { role: "operator", subject: ({ device }) => device },
  ReadmitDevice: { role: "operator", subject: ({ device }) => device },
  DecommissionDevice: { role: "operator", subject: ({ device }) => device },
  MeasureDevices: { role: "operator", subject: ({ selector }) => selector || "all devices" },

  ImportModel: { role: "operator", subject: ({ tree }) => tree?.name ?? "" },
  ImportDataset: { role: "operator", subject: ({ tree }) => tree?.name ?? "" },
  ListModels: reads,

  // Puts a builder to work.
  ProfileModel: { role: "operator", subject: ({ model }) => model },
  SearchModel: { role: "operator", subject: ({ model, floor }) => `${model} ${floor}` },

  ListVariants: reads,
  ReadVariantFile: reads,

  // Changes nothing that devices run, but measures them and puts the builders to work.
  Plan: { role: "operator", subject: specName },

  ListCorrections: reads,
  ResetCorrections: { role: "operator", subject: ({ hardwareClass }) => hardwareClass || "all classes" },

  StartRollout: {
    role: "operator",
    subject: (request) => `${specName(request)}${request.dryRun ? " (dry run)" : ""}`,
  },
  GetRollout: reads,
  ListRollouts: reads,
  WatchRollout: reads,
  ControlRollout: {
    role: "operator",
    subject: ({ rollout, action }) => `${rollout} ${action.replace("ACTION_", "").toLowerCase()}`,
  },
  UndoRollout: { role: "operator", subject: ({ rollout }) => rollout },
};

function pairs(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
