import { once } from "node:events";
import type { Logger } from "@espalier/shared/logging";
import type { handleClientStreamingCall, handleServerStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import { requireOperator } from "./caller.ts";
import { toServiceError } from "./status-of.ts";

/** What a handler knows of its caller. */
export interface OperatorCall {
  /** The operator's name, off the certificate. */
  readonly operator: string;
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
  log: Logger,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const { signal } = cancellation(call);
    const answer = async () => handler(call.request, { operator: requireOperator(call), signal });
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => callback(toServiceError(error, log)),
    );
  };
}

export function serveStream<Request, Response>(
  handler: ServerStream<Request, Response>,
  log: Logger,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const { signal } = cancellation(call);
    const send = async () => {
      for await (const message of handler(call.request, { operator: requireOperator(call), signal })) {
        if (signal.aborted) return;
        // A slow reader slows the handler down instead of filling memory.
        if (!call.write(message)) await Promise.race([once(call, "drain"), abortOf(signal)]);
      }
    };
    send().then(
      () => call.end(),
      (error: unknown) => {
        if (!signal.aborted) call.emit("error", toServiceError(error, log));
      },
    );
  };
}

export function serveUpload<Request, Response>(
  handler: ClientStream<Request, Response>,
  log: Logger,
): handleClientStreamingCall<Request, Response> {
  return (call, callback) => {
    const { signal } = cancellation(call);
    const answer = async () => handler(call, { operator: requireOperator(call), signal });
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => callback(toServiceError(error, log)),
    );
  };
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
