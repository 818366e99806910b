import type { ServerResponse } from "node:http";
import { EspalierError, messageOf } from "@espalier/shared/errors";

/** An error in the form and with the status codes of the OpenAI API. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly type: "invalid_request_error" | "server_error" | "rate_limit_error";
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    options: { param?: string | null; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.type = status >= 500 ? "server_error" : status === 429 ? "rate_limit_error" : "invalid_request_error";
    this.code = code;
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
  }

  body(): object {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

/** What every route that needs a model answers while none is active. */
export function noModel(): ApiError {
  return new ApiError(503, "no_model", "No model is active on this device yet", { headers: { "retry-after": "5" } });
}

/** Codes of our own errors that are the client's doing, and what the API calls them. */
const clientFaults: Readonly<Record<string, string>> = {
  "runtime.context-overflow": "context_length_exceeded",
  "runtime.invalid-request": "invalid_request",
  "grammar.ambiguous": "unsupported_schema",
  "grammar.unspeakable": "unsupported_schema",
  "chat.refused": "invalid_messages",
  "chat.none": "chat_not_supported",
};

/** Translates whatever a handler threw. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof EspalierError) {
    const message = error.remedy === undefined ? error.message : `${error.message}. ${error.remedy}`;
    const clientCode = clientFaults[error.code];
    if (clientCode !== undefined) return new ApiError(400, clientCode, message, { cause: error });
    if (error.code === "runtime.closed" || error.code === "runtime.crashed") {
      return new ApiError(503, "model_unavailable", message, { headers: { "retry-after": "1" }, cause: error });
    }
    return new ApiError(500, error.code, message, { cause: error });
  }
  return new ApiError(500, "internal_error", messageOf(error), { cause: error });
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { "content-type": "application/json", "content-length": bytes.length, ...headers });
  response.end(bytes);
}
