import { z } from "zod";

const contextBase = {
  schemaVersion: z.literal(1),
  /** host:port of the mutual-TLS services. */
  operatorAddress: z.string(),
};

/**
 * `context.json`: how an operator's tools reach a coordinator. Keys lie in files beside it (paths are absolute or relative
 * to it) or, to be carried to another machine, in it.
 */
export const OperatorContext = z.union([
  z.strictObject({ ...contextBase, authorityPath: z.string(), certificatePath: z.string(), keyPath: z.string() }),
  z.strictObject({ ...contextBase, authorityPem: z.string(), certificatePem: z.string(), keyPem: z.string() }),
]);
export type OperatorContext = z.infer<typeof OperatorContext>;

/** `endpoints.json` of a coordinator's data folder: where it listens and what builders and agents need to join. */
export const CoordinatorEndpoints = z.strictObject({
  schemaVersion: z.literal(1),
  pid: z.int(),
  httpUrl: z.string(),
  enrollmentAddress: z.string(),
  sessionAddress: z.string(),
  natsUrls: z.array(z.string()),
  authorityPath: z.string(),
  builderCredsPath: z.string(),
});
export type CoordinatorEndpoints = z.infer<typeof CoordinatorEndpoints>;

/** `agent.json` of an agent's data folder. */
export const AgentEndpoints = z.strictObject({
  schemaVersion: z.literal(1),
  pid: z.int(),
  deviceId: z.string(),
  apiUrl: z.string(),
});
export type AgentEndpoints = z.infer<typeof AgentEndpoints>;
