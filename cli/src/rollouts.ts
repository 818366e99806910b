import type { RolloutSpec } from "@espalier/shared/contracts/rollout-spec";
import { RolloutState } from "@espalier/shared/contracts/rollout-state";
import { EspalierError } from "@espalier/shared/errors";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import type { RolloutResponse__Output } from "@espalier/shared/generated/espalier/v1/RolloutResponse";
import { fromDocument, toDocument } from "@espalier/shared/grpc";
import { messages, unary } from "./client.ts";

export function readState(response: RolloutResponse__Output): RolloutState {
  if (!response.state) throw new EspalierError("rollout.missing", "the coordinator sent no rollout state");
  return fromDocument(response.state, RolloutState);
}

/** @param checkIndex of the plan that must still stand; "" asks for none */
export async function startRollout(client: OperatorClient, spec: RolloutSpec, checkIndex = ""): Promise<RolloutState> {
  const request = { spec: toDocument("RolloutSpec", spec), checkIndex };
  return readState(await unary((done) => client.startRollout(request, done)));
}

/** The states of a rollout as they change, until it ends. */
export async function* watchRollout(client: OperatorClient, rollout: string): AsyncGenerator<RolloutState> {
  for await (const response of messages(client.watchRollout({ rollout }))) yield readState(response);
}
