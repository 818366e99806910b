import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { loadTinyModel, type ServedTinyModel, serveTinyModel } from "./testing/served-tiny-model.ts";

const messages = [{ role: "user", content: "Tell me a story about a dog." }] as const;

interface ErrorBody {
  error: { message: string; code: string; param: string | null };
}

let served: ServedTinyModel;
before(async () => {
  served = await serveTinyModel();
});
after(() => served.close());

function post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(`${served.server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });
}

async function refusal(
  path: string,
  body: unknown,
  init?: RequestInit,
): Promise<{ status: number } & ErrorBody["error"]> {
  const response = await post(path, body, init);
  return { status: response.status, ...((await response.json()) as ErrorBody).error };
}

describe("the API through the openai client", () => {
  let client: OpenAI;
  before(() => {
    client = new OpenAI({ baseURL: `${served.server.url}/v1`, apiKey: "unused", maxRetries: 0 });
  });

  it("lists the model", async () => {
    const models = await client.models.list();
    assert.deepEqual(
      models.data.map((model) => model.id),
      ["tiny"],
    );
  });

  it("answers a chat, and the streamed pieces join to the same answer", async () => {
    const body = { model: "tiny", messages: [...messages], max_completion_tokens: 48 };
    const plain = await client.chat.completions.create(body);
    const text = plain.choices[0]!.message.content!;
    assert.ok(text.length > 20, text);
    assert.equal(plain.usage!.total_tokens, plain.usage!.prompt_tokens + plain.usage!.completion_tokens);
    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), text);
    assert.equal(chunks[0]!.choices[0]!.delta.role, "assistant");
    assert.equal(chunks.at(-2)!.choices[0]!.finish_reason, plain.choices[0]!.finish_reason);
    assert.deepEqual(chunks.at(-1)!.usage, plain.usage);
    assert.ok(chunks.length > 10);
  });

  it("continues a prompt, and the streamed pieces join to the same text", async () => {
    const body = { model: "tiny", prompt: "Once upon a time", max_tokens: 32 };
    const plain = await client.completions.create(body);
    const stream = await client.completions.create({ ...body, stream: true });
    const chunks = await Array.fromAsync(stream);
    assert.equal(chunks.map((chunk) => chunk.choices[0]!.text).join(""), plain.choices[0]!.text);
    assert.match(plain.choices[0]!.text, /^,? /, "the space after the prompt is part of the text");
  });

  it("samples the same answer for the same seed only", async () => {
    const answer = async (seed: number) => {
      const body = { model: "tiny", messages: [...messages], max_tokens: 24, temperature: 1.2, top_p: 0.95, seed };
      return (await client.chat.completions.create(body)).choices[0]!.message.content;
    };
    assert.equal(await answer(5), await answer(5));
    assert.notEqual(await answer(5), await answer(6));
  });

  it("ends before a stop string that spans tokens", async () => {
    const body = { model: "tiny", prompt: "Once upon a time", max_tokens: 32 };
    const whole = (await client.completions.create(body)).choices[0]!.text;
    const stop = whole.slice(9, 17);
    const cut = await client.completions.create({ ...body, stop: ["not there", stop] });
    assert.equal(cut.choices[0]!.text, whole.slice(0, whole.indexOf(stop)));
    assert.equal(cut.choices[0]!.finish_reason, "stop");
    const chunks = await Array.fromAsync(await client.completions.create({ ...body, stop, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]!.text).join(""), cut.choices[0]!.text);
  });

  it("raises the client's own errors", async () => {
    const body = { model: "tiny", messages: [...messages], n: 2 };
    await assert.rejects(client.chat.completions.create(body), OpenAI.BadRequestError);
    await assert.rejects(client.chat.completions.create({ ...body, n: 1, model: "gpt-4" }), OpenAI.NotFoundError);
  });
});

describe("refusals", () => {
  it("name unsupported options", async () => {
    const unknown = await refusal("/v1/chat/completions", { messages, guided_json: {}, audio: {} });
    assert.equal(unknown.status, 400);
    assert.equal(unknown.message, "unsupported options: guided_json, audio");
    assert.equal(unknown.param, "guided_json");
    const several = await refusal("/v1/chat/completions", { messages, frequency_penalty: 1, tools: [{}] });
    assert.equal(several.status, 400);
    assert.match(several.message, /frequency_penalty.*tools/);
  });

  it("accept options at the value that changes nothing", async () => {
    const neutral = {
      n: 1,
      logprobs: false,
      frequency_penalty: 0,
      presence_penalty: 0,
      logit_bias: {},
      user: "me",
      stop: null,
    };
    const response = await post("/v1/chat/completions", { messages, max_tokens: 1, ...neutral });
    assert.equal(response.status, 200, await response.text());
  });

  it("give the numbers when prompt and answer don't fit", async () => {
    const asked = await refusal("/v1/completions", { prompt: "Once", max_tokens: 600 });
    assert.deepEqual([asked.status, asked.code], [400, "context_length_exceeded"]);
    assert.match(asked.message, /512 .* 600 for the answer/);
    const long = await refusal("/v1/completions", { prompt: "dog ".repeat(100_000) });
    assert.deepEqual([long.status, long.code], [400, "context_length_exceeded"]);
  });

  it("cover bodies that are no request", async () => {
    assert.equal((await refusal("/v1/completions", "{")).code, "invalid_json");
    assert.equal((await refusal("/v1/completions", { prompt: 5 })).status, 400);
    assert.equal((await refusal("/v1/completions", { prompt: "", model: "x" })).status, 404);
    assert.equal((await refusal("/v1/chat/completions", { messages: [] })).status, 400);
    assert.equal(
      (await refusal("/v1/chat/completions", { messages: [{ role: "user", content: [{ type: "image_url" }] }] }))
        .status,
      400,
    );
    const big = await refusal("/v1/completions", { prompt: "x".repeat(1024 * 1024 + 1) });
    assert.deepEqual([big.status, big.code], [413, "request_too_large"]);
    const form = await refusal("/v1/completions", "prompt=x", { headers: { "content-type": "text/plain" } });
    assert.equal(form.status, 415);
  });

  it("cover unknown paths, wrong methods and foreign hosts", async () => {
    assert.equal((await fetch(`${served.server.url}/v2`)).status, 404);
    const wrong = await fetch(`${served.server.url}/v1/completions`);
    assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "POST"]);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const options = {
        port: served.server.port,
        host: "127.0.0.1",
        path: "/health",
        headers: { host: "evil.example" },
      };
      httpRequest(options, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on("error", reject)
        .end();
    });
    assert.equal(status, 403);
  });
});

describe("serving", () => {
  it("serves extra routes", async () => {
    assert.equal(await (await fetch(`${served.server.url}/metrics`)).text(), "metrics here");
  });

  it("observes each answered request with its times", async () => {
    const done = served.nextObservation();
    await post("/v1/completions", { prompt: "Once upon a time", max_tokens: 8 });
    const observation = await done;
    assert.equal(observation.outcome, "succeeded");
    assert.ok(observation.promptTokens >= 4);
    assert.equal(observation.completionTokens, 8);
    assert.ok(observation.ttftMs! > 0 && observation.tpotMs! > 0);
  });

  it("cancels when the client goes away, and serves the next one", async () => {
    const release = served.occupy();
    const done = served.nextObservation();
    const leave = new AbortController();
    await post("/v1/chat/completions", { messages, stream: true }, { signal: leave.signal });
    leave.abort();
    assert.deepEqual([(await done).outcome, (await done).completionTokens], ["cancelled", 0]);
    release();
    assert.equal((await post("/v1/completions", { prompt: "Once", max_tokens: 2 })).status, 200);
  });

  it("refuses more than it can hold with a time to come back, and recovers", async () => {
    const release = served.occupy();
    const refused = Promise.withResolvers<void>();
    let refusals = 0;
    const body = { prompt: "Once upon a time", max_tokens: 4 };
    const requests = Array.from({ length: 12 }, async () => {
      const response = await post("/v1/completions", body);
      await response.text();
      if (response.status === 429) refusals += 1;
      if (refusals === 8) refused.resolve();
      return response;
    });
    await refused.promise;
    release();
    const responses = await Promise.all(requests);
    const statuses = responses.map((response) => response.status).sort();
    assert.deepEqual(statuses, [...Array(4).fill(200), ...Array(8).fill(429)]);
    const waits = responses
      .filter((response) => response.status === 429)
      .map((response) => response.headers.get("retry-after"));
    assert.ok(waits.every((wait) => Number(wait) >= 1));
    assert.equal((await post("/v1/completions", body)).status, 200);
  });

  it("lets a running request finish on the model it started with", async () => {
    const release = served.occupy();
    const response = await post("/v1/chat/completions", { messages, max_tokens: 20, stream: true });
    const swapped = served.slot.swap(await loadTinyModel("dense-next"));
    release();
    assert.match(await response.text(), /data: \[DONE\]\n\n$/);
    await swapped;
    const health = (await (await fetch(`${served.server.url}/health`)).json()) as { variant: string };
    assert.equal(health.variant, "dense-next");
  });

  it("answers 503 while no model is active", async () => {
    await served.slot.swap(null);
    assert.equal((await fetch(`${served.server.url}/health`)).status, 503);
    const refused = await refusal("/v1/completions", { prompt: "Once" });
    assert.deepEqual([refused.status, refused.code], [503, "no_model"]);
    const models = (await (await fetch(`${served.server.url}/v1/models`)).json()) as { data: unknown[] };
    assert.deepEqual(models.data, []);
  });
});
