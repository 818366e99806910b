import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { OperatorContext } from "@espalier/shared/contracts/context";
import { EspalierError } from "@espalier/shared/errors";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { loadServices } from "@espalier/shared/grpc";
import { type ClientReadableStream, type ClientUnaryCall, credentials, type requestCallback } from "@grpc/grpc-js";
import { fromGrpcError } from "./grpc-error.ts";

/** Plans and reports of large fleets exceed gRPC's default of 4 MiB. */
const maxMessageBytes = 64 * 1024 * 1024;

/**
 * Connects by a `context.json`, as `espalier up` and the coordinator write it.
 * @throws {EspalierError} `context.missing` or `context.invalid`
 */
export function connect(contextPath: string): OperatorClient {
  const context = readContext(contextPath);
  const read = (path: string) => readFileSync(resolve(dirname(contextPath), path));
  const channel = credentials.createSsl(
    read(context.authorityPath),
    read(context.keyPath),
    read(context.certificatePath),
  );
  const { Operator } = loadServices();
  return new Operator(context.operatorAddress, channel, {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
  });
}

function readContext(path: string): OperatorContext {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new EspalierError("context.missing", `no coordinator context at ${path}`, {
      fields: { path },
      remedy: "start one with `espalier up`, or name another with --context or ESPALIER_CONTEXT",
      cause,
    });
  }
  const parsed = OperatorContext.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new EspalierError("context.invalid", `${path} is no coordinator context: ${parsed.error.message}`, {
      fields: { path },
      remedy: "copy context.json from the coordinator's data folder again",
    });
  }
  return parsed.data;
}

/** Turns a callback call into a promise, its errors into ours: `unary<GetStatusResponse__Output>((done) => client.getStatus({}, done))`. */
export function unary<Response>(call: (done: requestCallback<Response>) => ClientUnaryCall): Promise<Response> {
  return new Promise((resolve, reject) => {
    call((error, response) => {
      if (error) reject(fromGrpcError(error));
      else if (response === undefined) reject(new EspalierError("answer.empty", "the coordinator answered nothing"));
      else resolve(response);
    });
  });
}

/** The messages of a server stream; its error is ours. Leaving the loop cancels the call. */
export async function* messages<Message>(stream: ClientReadableStream<Message>): AsyncGenerator<Message> {
  try {
    for await (const message of stream) yield message as Message;
  } catch (error) {
    throw fromGrpcError(error);
  } finally {
    stream.cancel();
  }
}
