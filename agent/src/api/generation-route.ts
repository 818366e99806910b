import { randomInt, randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { z } from "zod";
import type { TextTokenizer } from "../text/tokenizer.ts";
import type { Admission } from "./admission.ts";
import { type AnswerPiece, answer } from "./answer.ts";
import { noModel, sendJson, toApiError } from "./api-error.ts";
import { EventStream, StalledClient } from "./event-stream.ts";
import { type GenerationPlan, planGeneration } from "./generation-plan.ts";
import { guideFor } from "./guide-for.ts";
import { checkModelName } from "./model-name.ts";
import type { ModelSlot, ServedModel } from "./model-slot.ts";
import type { RequestObservation } from "./observation.ts";
import { readJsonBody } from "./read-body.ts";
import { RequestClock } from "./request-clock.ts";
import { type GenerationRequest, parseRequest } from "./request-schema.ts";
import type { AnswerHeader, Choice, ResponseFormat, Usage } from "./response-format.ts";

export interface GenerationRouteOptions<Request extends GenerationRequest> {
  readonly slot: ModelSlot;
  readonly admission: Admission;
  readonly schema: z.ZodType<Request>;
  readonly format: ResponseFormat;
  readonly encode: (request: Request, tokenizer: TextTokenizer, contextTokens: number) => number[];
  /** Tokens to generate when the request doesn't say; null fills the context. */
  readonly defaultMaxTokens: number | null;
  readonly nowMs: () => number;
  readonly onRequestDone: (observation: RequestObservation) => void;
}

/**
 * One of the two generating endpoints. A request that got as far as generation is observed exactly once; one that is
 * refused before (4xx, 503) isn't, for it says nothing about the model.
 */
export function generationRoute<Request extends GenerationRequest>(options: GenerationRouteOptions<Request>) {
  return async (message: IncomingMessage, response: ServerResponse, closing: AbortSignal): Promise<void> => {
    const clock = new RequestClock(options.nowMs);
    const request = parseRequest(options.schema, await readJsonBody(message));
    const lease = options.slot.acquire();
    if (lease === null) throw noModel();
    try {
      const leave = options.admission.enter();
      try {
        const plan = await prepare(options, request, lease.model);
        clock.promptTokens = plan.promptTokens.length;
        await generate({ options, request, model: lease.model, plan, clock, response, closing });
      } finally {
        leave(clock.elapsedMs());
      }
    } finally {
      lease.release();
    }
  };
}

async function prepare<Request extends GenerationRequest>(
  options: GenerationRouteOptions<Request>,
  request: Request,
  model: ServedModel,
): Promise<GenerationPlan> {
  checkModelName(model, request.model);
  const { contextTokens } = model.runtime;
  return planGeneration(request, {
    promptTokens: options.encode(request, model.tokenizer, contextTokens),
    contextTokens,
    defaultMaxTokens: options.defaultMaxTokens,
    randomSeed: randomInt(2 ** 32),
    guide: await guideFor(request, model.tokenizer),
  });
}

interface Generation<Request extends GenerationRequest> {
  readonly options: GenerationRouteOptions<Request>;
  readonly request: Request;
  readonly model: ServedModel;
  readonly plan: GenerationPlan;
  readonly clock: RequestClock;
  readonly response: ServerResponse;
  /** Aborted when the server closes. */
  readonly closing: AbortSignal;
}

/** Generates, answers and observes. A client that goes away cancels. */
async function generate<Request extends GenerationRequest>(generation: Generation<Request>): Promise<void> {
  const { options, response, clock, closing } = generation;
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new Error("the client went away"));
  response.once("close", onClose);
  const signal = AbortSignal.any([gone.signal, closing]);
  try {
    await respond(generation, signal);
    options.onRequestDone(clock.observation("succeeded"));
  } catch (error) {
    const byClient = gone.signal.aborted || error instanceof StalledClient;
    options.onRequestDone(clock.observation(byClient || closing.aborted ? "cancelled" : "failed"));
    if (!byClient) throw error;
  } finally {
    response.off("close", onClose);
  }
}

async function respond<Request extends GenerationRequest>(generation: Generation<Request>, signal: AbortSignal) {
  const { options, request, model, plan, clock, response } = generation;
  const header: AnswerHeader = {
    id: `${options.format.idPrefix}${randomUUID()}`,
    createdSeconds: Math.floor(Date.now() / 1000),
    modelName: model.modelName,
    fingerprint: model.artifactDigest,
    tokenText: plan.logprobs === null ? null : (tokenId) => model.tokenizer.tokenText(tokenId),
  };
  const pieces = (choice: number): AsyncIterable<AnswerPiece> =>
    answer(model, plan, choice, (reusedTokens) => clock.token(reusedTokens), signal);
  const usage = (): Usage => ({
    promptTokens: clock.promptTokens,
    cachedTokens: clock.reusedTokens,
    completionTokens: clock.completionTokens,
  });
  if (request.stream !== true) {
    const choices: Choice[] = [];
    for (let index = 0; index < plan.choices; index += 1) choices.push(await wholeChoice(pieces(index)));
    sendJson(response, 200, options.format.whole(header, choices, usage()));
    return;
  }
  const events = new EventStream(response, signal);
  try {
    for (let index = 0; index < plan.choices; index += 1) {
      let isFirst = true;
      for await (const piece of pieces(index)) {
        await events.send(options.format.piece(header, index, piece, isFirst));
        isFirst = false;
      }
    }
    if (request.stream_options?.include_usage === true) await events.send(options.format.usage(header, usage()));
    events.end();
  } catch (error) {
    events.fail(toApiError(error).body());
    throw error;
  }
}

async function wholeChoice(pieces: AsyncIterable<AnswerPiece>): Promise<Choice> {
  const all = await Array.fromAsync(pieces);
  return {
    text: all.map(({ text }) => text).join(""),
    finish: all.at(-1)?.finish ?? "stop",
    tokens: all.flatMap(({ tokens }) => tokens),
  };
}
