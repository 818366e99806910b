import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf } from "@espalier/shared/errors";
import { Admission } from "./admission.ts";
import { ApiError, sendJson, toApiError } from "./api-error.ts";
import { checkApiKey } from "./api-key.ts";
import { encodeChatRequest, encodeCompletionRequest } from "./encode-request.ts";
import { stalledClientMs } from "./event-stream.ts";
import { generationRoute } from "./generation-route.ts";
import { embeddingsRoute, healthRoute, modelsRoute, tokenizeRoute } from "./model-routes.ts";
import type { ModelSlot } from "./model-slot.ts";
import type { RequestObservation } from "./observation.ts";
import { ChatRequest, CompletionRequest } from "./request-schema.ts";
import { chatFormat, completionFormat } from "./response-format.ts";

/** Answers one request; what it throws becomes an API error. `closing` is aborted when the server closes. */
export type Route = (request: IncomingMessage, response: ServerResponse, closing: AbortSignal) => Promise<void>;

export interface ApiServerOptions {
  readonly slot: ModelSlot;
  /** Requests running and waiting together; the next one gets a 429. */
  readonly maxRequests: number;
  /** What clients must present, except to `/health` and to `extraRoutes`; null lets everybody on this machine in. */
  readonly apiKey: string | null;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly onRequestDone: (observation: RequestObservation) => void;
  /** More GET routes by path, e.g. `/metrics`. */
  readonly extraRoutes: Readonly<Record<string, Route>>;
  readonly log: { error(fields: object, message: string): void };
}

export interface ApiServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  /** Cancels what runs and closes every connection. */
  close(): Promise<void>;
}

/** The API's usual default for plain completions. */
const completionMaxTokens = 16;
/** Bounds what clients that send a body slowly can make the agent hold: this many times the largest body. */
const maxConnections = 64;

/** Serves the OpenAI-compatible API on loopback only. Port 0 takes a free one. Throws what `listen` reports. */
export async function startApiServer(options: ApiServerOptions, port: number): Promise<ApiServer> {
  const routes = routeTable(options);
  const closing = new AbortController();
  const server = createServer(
    { maxHeaderSize: 16 * 1024, headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000 },
    (request, response) => void handle({ routes, options, closing: closing.signal }, request, response),
  );
  server.maxConnections = maxConnections;
  await listen(server, port);
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closing.abort(new Error("the server is closing"));
      server.closeAllConnections();
      await closed;
    },
  };
}

function routeTable(options: ApiServerOptions): ReadonlyMap<string, Route> {
  const { slot } = options;
  const shared = { ...options, admission: new Admission(options.maxRequests) };
  const chat = generationRoute<ChatRequest>({
    ...shared,
    schema: ChatRequest,
    format: chatFormat,
    encode: encodeChatRequest,
    defaultMaxTokens: null,
  });
  const completion = generationRoute<CompletionRequest>({
    ...shared,
    schema: CompletionRequest,
    format: completionFormat,
    encode: encodeCompletionRequest,
    defaultMaxTokens: completionMaxTokens,
  });
  return new Map<string, Route>([
    ["GET /health", healthRoute(slot)],
    ["GET /v1/models", modelsRoute(slot)],
    ["POST /tokenize", tokenizeRoute(slot)],
    ["POST /v1/embeddings", embeddingsRoute],
    ["POST /v1/chat/completions", chat],
    ["POST /v1/completions", completion],
    ...Object.entries(options.extraRoutes).map(([path, route]): [string, Route] => [`GET ${path}`, route]),
  ]);
}

interface Serving {
  readonly routes: ReadonlyMap<string, Route>;
  readonly options: ApiServerOptions;
  readonly closing: AbortSignal;
}

async function handle(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    await findRoute(serving, request)(request, response, serving.closing);
  } catch (error) {
    const apiError = toApiError(error);
    if (apiError.status === 500 || apiError.code === "model_unavailable") {
      serving.options.log.error({ path: request.url, error: messageOf(error) }, "request failed");
    }
    if (!response.headersSent) sendJson(response, apiError.status, apiError.body(), apiError.headers);
    else response.end();
  }
  // What a client doesn't take is not held for ever.
  if (!response.writableFinished) response.setTimeout(stalledClientMs, () => response.destroy());
}

function findRoute({ routes, options }: Serving, request: IncomingMessage): Route {
  refuseForeignHost(request);
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  if (path !== "/health" && !(path in options.extraRoutes)) checkApiKey(options.apiKey, request.headers.authorization);
  const route = routes.get(`${request.method} ${path}`);
  if (route !== undefined) return route;
  const methods = ["GET", "POST"].filter((method) => routes.has(`${method} ${path}`));
  if (methods.length === 0) throw new ApiError(404, "not_found", `There is no ${path} here`);
  throw new ApiError(405, "method_not_allowed", `${path} takes ${methods.join(", ")}, not ${request.method}`, {
    headers: { allow: methods.join(", ") },
  });
}

/** A web page can make its own name resolve to loopback (DNS rebinding); the Host header gives it away. */
function refuseForeignHost(request: IncomingMessage): void {
  const host = (request.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  if (["127.0.0.1", "localhost", "[::1]"].includes(host)) return;
  throw new ApiError(403, "foreign_host", `Requests must be addressed to 127.0.0.1 or localhost, not ${host}`);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}
