import { z } from "zod";
import { ApiError } from "./api-error.ts";

const penalty = z.number().min(-2).max(2).nullish();

/** Options that don't bear on the answer. */
const ignored = { user: z.string().nullish(), store: z.boolean().nullish(), metadata: z.unknown().optional() };

const stopString = z.string().min(1).max(200);

const generation = {
  model: z.string().nullish(),
  /** Answers to the one prompt. */
  n: z.int().min(1).max(16).nullish(),
  frequency_penalty: penalty,
  presence_penalty: penalty,
  logit_bias: z.record(z.string().regex(/^\d+$/, "keys are token ids"), z.number().min(-100).max(100)).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([stopString, z.array(stopString).max(4)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).nullish(),
  /** Known from other servers of open models. */
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
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

const messages = z.array(message).min(1).max(1000);

/** `strict` changes nothing: an answer always keeps its schema. */
const responseFormat = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({
    type: z.literal("json_schema"),
    json_schema: z.strictObject({
      name: z.string().min(1).max(200),
      description: z.string().nullish(),
      schema: z.record(z.string(), z.unknown()),
      strict: z.boolean().nullish(),
    }),
  }),
]);

/** Options at the one value that this server can honour are accepted: clients send them unasked. */
export const ChatRequest = z
  .strictObject({
    ...ignored,
    ...generation,
    messages,
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(20).nullish(),
    max_completion_tokens: z.int().min(1).nullish(),
    response_format: responseFormat.nullish(),
    tools: z.array(z.unknown()).max(0).nullish(),
    tool_choice: z.literal("none").nullish(),
    parallel_tool_calls: z.boolean().nullish(),
  })
  .refine((request) => request.top_logprobs == null || request.logprobs === true, {
    path: ["top_logprobs"],
    message: "needs logprobs: true",
  });
export type ChatRequest = z.infer<typeof ChatRequest>;

export const CompletionRequest = z.strictObject({
  ...ignored,
  ...generation,
  /** Log probabilities of this many most likely tokens. */
  logprobs: z.int().min(0).max(20).nullish(),
  prompt: z.union([z.string(), z.tuple([z.string()]).transform(([text]) => text)]),
  best_of: z.literal(1).nullish(),
  echo: z.literal(false).nullish(),
  suffix: z.literal("").nullish(),
});
export type CompletionRequest = z.infer<typeof CompletionRequest>;

export const TokenizeRequest = z.union([
  z.strictObject({ model: z.string().nullish(), prompt: z.string() }),
  z.strictObject({ model: z.string().nullish(), messages }),
]);
export type TokenizeRequest = z.infer<typeof TokenizeRequest>;

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
  if (issue.code === "invalid_key") return `${where}: ${issue.issues[0]?.message ?? issue.message}`;
  if (issue.code === "unrecognized_keys") {
    return `unsupported option${issue.keys.length > 1 ? "s" : ""}: ${issue.keys.map((key) => (where === "" ? key : `${where}.${key}`)).join(", ")}`;
  }
  return where === "" ? issue.message : `${where}: ${issue.message}`;
}
