import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { EspalierError } from "@espalier/shared/errors";
import type { Logger } from "@espalier/shared/logging";

/** What a path answers. */
export interface HttpAnswer {
  status: number;
  contentType: string;
  body: string;
}

/** @returns null for a path that is not there */
export type HttpHandler = (url: URL) => Promise<HttpAnswer | null>;

export interface HttpServer {
  /** `http://host:port` as listened on. */
  readonly url: string;
  stop(): Promise<void>;
}

const maxHeaderBytes = 8 * 1024;
const requestTimeoutMs = 10_000;
/** Scrapers and people, not the fleet. */
const maxConnections = 256;

/**
 * Serves GET and HEAD, without bodies, cookies or state.
 * @throws {EspalierError} `http.port-taken`
 */
export async function startHttpServer(parts: {
  host: string;
  /** 0: any free port. */
  port: number;
  handle: HttpHandler;
  log: Logger;
}): Promise<HttpServer> {
  const { host, port, handle, log } = parts;
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: 5_000,
    },
    (request, response) => {
      answer(request, handle, log).then(
        (result) => send(request, response, result),
        (error: unknown) => {
          log.error({ err: error }, "an HTTP request failed");
          send(request, response, plain(500, "the coordinator failed; see its log"));
        },
      );
    },
  );
  server.maxConnections = maxConnections;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EADDRINUSE") throw cause;
    throw new EspalierError("http.port-taken", `port ${port} of ${host} is in use`, {
      fields: { host, port },
      remedy: "choose another port, or 0 for any free one",
      cause,
    });
  }
  const { port: actual } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${actual}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, "close");
    },
  };
}

export function plain(status: number, text: string): HttpAnswer {
  return { status, contentType: "text/plain; charset=utf-8", body: `${text}\n` };
}

async function answer(request: IncomingMessage, handle: HttpHandler, log: Logger): Promise<HttpAnswer> {
  if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "only GET is served here");
  if (Number(request.headers["content-length"] ?? 0) > 0 || request.headers["transfer-encoding"] !== undefined) {
    return plain(413, "a request here has no body");
  }
  const path = request.url ?? "/";
  if (!URL.canParse(path, "http://coordinator")) return plain(400, "the path can't be read");
  log.trace({ path }, "http");
  return (await handle(new URL(path, "http://coordinator"))) ?? plain(404, "there is nothing here");
}

function send(request: IncomingMessage, response: ServerResponse, { status, contentType, body }: HttpAnswer): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": bytes.length,
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    // What is left of a body that nobody reads must not be taken for the next request.
    ...(status === 413 || status === 405 ? { connection: "close" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
}
