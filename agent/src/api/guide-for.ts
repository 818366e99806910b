import { EspalierError } from "@espalier/shared/errors";
import { anyObject } from "../grammar/json-grammar.ts";
import { schemaGrammar } from "../grammar/schema-grammar.ts";
import type { GuideRequest } from "../grammar/token-guide.ts";
import type { TextTokenizer } from "../text/tokenizer.ts";
import { ApiError } from "./api-error.ts";
import type { GenerationRequest } from "./request-schema.ts";

const mostSchemaChars = 65_536;

/**
 * What `response_format` asks of the answer; null for free text. Throws a 400 that names the place in the schema which can't be
 * kept.
 */
export async function guideFor(request: GenerationRequest, tokenizer: TextTokenizer): Promise<GuideRequest | null> {
  const format = "messages" in request ? (request.response_format ?? null) : null;
  if (format === null || format.type === "text") return null;
  try {
    const vocabulary = await tokenizer.vocabulary();
    if (format.type === "json_object") return { grammar: anyObject(), vocabulary };
    const { schema } = format.json_schema;
    if (JSON.stringify(schema).length > mostSchemaChars)
      throw new EspalierError("grammar.unsupported", `schema: at most ${mostSchemaChars} characters`);
    return { grammar: schemaGrammar(schema), vocabulary };
  } catch (error) {
    if (!(error instanceof EspalierError) || !error.code.startsWith("grammar.")) throw error;
    const at = error.fields["path"];
    const param = ["response_format", ...(at === undefined ? [] : ["json_schema", String(at)])].join(".");
    throw new ApiError(400, "unsupported_schema", `response_format: ${error.message}`, { param, cause: error });
  }
}
