import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { OperatorContext } from "@espalier/shared/contracts/context";
import { EspalierError } from "@espalier/shared/errors";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { loadServices, tlsChannelOptions } from "@espalier/shared/grpc";
import { type ClientReadableStream, type ClientUnaryCall, credentials, type requestCallback } from "@grpc/grpc-js";
import { fromGrpcError } from "./grpc-error.ts";

/** Plans and reports of large fleets exceed gRPC's default of 4 MiB. */
const maxMessageBytes = 64 * 1024 * 1024;

/**
 * Connects by a `context.json`, as `espalier up` and the coordinator write it.
 * @throws {EspalierError} `context.missing` or `context.invalid`
 */
export function connect(contextPath: string): OperatorClient {
  const { operatorAddress, authorityPem, keyPem, certificatePem } = readContext(contextPath);
  const channel = credentials.createSsl(Buffer.from(authorityPem), Buffer.from(keyPem), Buffer.from(certificatePem));
  const { Operator } = loadServices();
  return new Operator(operatorAddress, channel, {
    ...tlsChannelOptions(operatorAddress),
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
  });
}

/** A context with its keys. */
export interface LoadedContext {
  readonly operatorAddress: string;
  readonly authorityPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** @throws {EspalierError} `context.missing` or `context.invalid` */
export function readContext(path: string): LoadedContext {
  const context = parseContext(path);
  if ("keyPem" in context) return context;
  const read = (named: string) => {
    const file = resolve(dirname(path), named);
    try {
      return readFileSync(file, "utf8");
    } catch (cause) {
      throw new EspalierError("context.invalid", `${path} names ${file}, which can't be read`, {
        fields: { path, file },
        remedy: "copy the whole context again, or ask an admin for one in one file: espalier operator create",
        cause,
      });
    }
  };
  return {
    operatorAddress: context.operatorAddress,
    authorityPem: read(context.authorityPath),
    certificatePem: read(context.certificatePath),
    keyPem: read(context.keyPath),
  };
}

function parseContext(path: string): OperatorContext {
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
  try {
    return OperatorContext.parse(JSON.parse(text));
  } catch (cause) {
    throw new EspalierError("context.invalid", `${path} is no context of a coordinator`, {
      fields: { path },
      remedy: "copy context.json from the coordinator's data folder again",
      cause,
    });
  }
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
