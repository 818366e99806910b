import { once } from "node:events";
import type { Role } from "@espalier/shared/contracts/role";
import type { Logger } from "@espalier/shared/logging";
import type { handleClientStreamingCall, handleServerStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import type { Entrance } from "../operator/access.ts";
import { toServiceError } from "./status-of.ts";

/** What a handler knows of its caller. */
export interface OperatorCall {
  /** The operator's name, off the certificate. */
  readonly operator: string;
  readonly role: Role;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
}

/** Handlers are plain async functions; errors they throw become gRPC's in one place (status-of.ts). */
export type Unary<Request, Response> = (request: Request, call: OperatorCall) => Promise<Response>;
export type ServerStream<Request, Response> = (request: Request, call: OperatorCall) => AsyncIterable<Response>;
export type ClientStream<Request, Response> = (
  requests: AsyncIterable<Request>,
  call: OperatorCall,
) => Promise<Response>;

export function serveUnary<Request, Response>(
  handler: Unary<Request, Response>,
  entrance: Entrance<Request>,
  log: Logger,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const { signal } = cancellation(call);
    const answer = async () => {
      const admitted = await entrance.admit(call, call.request);
      return entrance.audited(admitted, call.request, () => handler(call.request, { ...admitted, signal }));
    };
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => callback(toServiceError(error, log)),
    );
  };
}

export function serveStream<Request, Response>(
  handler: ServerStream<Request, Response>,
  entrance: Entrance<Request>,
  log: Logger,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const { signal } = cancellation(call);
    const answer = async () => {
      const admitted = await entrance.admit(call, call.request);
      await entrance.audited(admitted, call.request, async () => {
        for await (const message of handler(call.request, { ...admitted, signal })) {
          if (signal.aborted) return;
          // A stream may last for hours: an operator who was revoked meanwhile gets nothing more.
          await entrance.admit(call, call.request);
          // A slow reader slows the handler down instead of filling memory.
          if (!call.write(message)) await Promise.race([once(call, "drain"), abortOf(signal)]);
        }
      });
    };
    answer().then(
      () => call.end(),
      (error: unknown) => {
        if (!signal.aborted) call.emit("error", toServiceError(error, log));
      },
    );
  };
}

export function serveUpload<Request, Response>(
  handler: ClientStream<Request, Response>,
  entrance: Entrance<Request>,
  log: Logger,
): handleClientStreamingCall<Request, Response> {
  return (call, callback) => {
    const { signal } = cancellation(call);
    const answer = async () => {
      // Who may not upload is told so before a byte of it is read.
      const admitted = await entrance.admit(call, null);
      const messages: AsyncIterator<Request> = call[Symbol.asyncIterator]();
      const first = await messages.next();
      const all = rejoin(first, messages);
      if (first.done) return handler(all, { ...admitted, signal });
      return entrance.audited(admitted, first.value, () => handler(all, { ...admitted, signal }));
    };
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => callback(toServiceError(error, log)),
    );
  };
}

/** A message that was looked at, and the rest. */
async function* rejoin<Value>(first: IteratorResult<Value>, rest: AsyncIterator<Value>): AsyncGenerator<Value> {
  for (let next = first; !next.done; next = await rest.next()) yield next.value;
}

function cancellation(call: { on(event: "cancelled", listener: () => void): unknown }): AbortController {
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort());
  return controller;
}

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
