import type { IncomingMessage } from "node:http";
import { messageOf } from "@espalier/shared/errors";
import { ApiError } from "./api-error.ts";

const maxBodyBytes = 1024 * 1024;

/**
 * The request's JSON. Throws 415 for another content type (which also keeps web pages from posting here unasked: JSON
 * needs a preflight that is never granted), 413 above 1 MiB, 400 for what isn't JSON.
 */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new ApiError(415, "unsupported_media_type", `Expected content type application/json, got ${type ?? "none"}`);
  }
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes > maxBodyBytes) {
      throw new ApiError(413, "request_too_large", `The request's body is over ${maxBodyBytes} bytes`, {
        headers: { connection: "close" },
      });
    }
    chunks.push(bytes);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    throw new ApiError(400, "invalid_json", `The request's body is not JSON: ${messageOf(error)}`, { cause: error });
  }
}
