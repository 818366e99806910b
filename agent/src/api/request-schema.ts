import { z } from "zod";
import { ApiError } from "./api-error.ts";

/** Options at the value that changes nothing: clients send them unasked. Any other value is refused by name. */
const neutral = {
  n: z.literal(1).nullish(),
  logprobs: z.literal([false, 0]).nullish(),
  top_logprobs: z.literal(0).nullish(),
  frequency_penalty: z.literal(0).nullish(),
  presence_penalty: z.literal(0).nullish(),
  logit_bias: z.strictObject({}).nullish(),
};

/** Options that don't bear on the answer. */
const ignored = { user: z.string().nullish(), store: z.boolean().nullish(), metadata: z.unknown().optional() };

const stopString = z.string().min(1).max(200);

const generation = {
  model: z.string().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([stopString, z.array(stopString).max(4)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).nullish(),
  /** Known from other servers of open models. */
  top_k: z.int().min(0).nullish(),
  repetition_penalty: z.number().gt(0).max(10).nullish(),
};

const textParts = z
  .array(z.strictObject({ type: z.literal("text"), text: z.string() }))
  .transform((parts) => parts.map((part) => part.text).join("\n"));

/** Content as one string. Templates know no `developer`: it is the newer name of `system`. */
const message = z.strictObject({
  role: z
    .enum(["system", "developer", "user", "assistant"])
    .transform((role) => (role === "developer" ? "system" : role)),
  content: z.union([z.string(), textParts]),
  name: z.string().nullish(),
  refusal: z.null().optional(),
});

export const ChatRequest = z.strictObject({
  ...neutral,
  ...ignored,
  ...generation,
  messages: z.array(message).min(1).max(1000),
  max_completion_tokens: z.int().min(1).nullish(),
  response_format: z.strictObject({ type: z.literal("text") }).nullish(),
  tools: z.array(z.unknown()).max(0).nullish(),
  tool_choice: z.literal("none").nullish(),
  parallel_tool_calls: z.boolean().nullish(),
});
export type ChatRequest = z.infer<typeof ChatRequest>;

export const CompletionRequest = z.strictObject({
  ...neutral,
  ...ignored,
  ...generation,
  prompt: z.union([z.string(), z.tuple([z.string()]).transform(([text]) => text)]),
  best_of: z.literal(1).nullish(),
  echo: z.literal(false).nullish(),
  suffix: z.literal("").nullish(),
});
export type CompletionRequest = z.infer<typeof CompletionRequest>;

export type GenerationRequest = ChatRequest | CompletionRequest;

/** Checks a parsed body. Throws a 400 that names every option at fault. */
export function parseRequest<Request>(schema: z.ZodType<Request>, body: unknown): Request {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => ({
    param: issue.code === "unrecognized_keys" ? (issue.keys[0] ?? null) : issue.path.join(".") || null,
    text: describe(issue),
  }));
  throw new ApiError(400, "invalid_request", problems.map((problem) => problem.text).join("; "), {
    param: problems[0]?.param ?? null,
  });
}

function describe(issue: z.core.$ZodIssue): string {
  const where = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    return `unsupported option${issue.keys.length > 1 ? "s" : ""}: ${issue.keys.map((key) => (where === "" ? key : `${where}.${key}`)).join(", ")}`;
  }
  return where === "" ? issue.message : `${where}: ${issue.message}`;
}
