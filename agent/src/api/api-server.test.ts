import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
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

describe("refusals", () => {
  it("name unsupported options", async () => {
    const unknown = await refusal("/v1/chat/completions", { messages, guided_json: {}, audio: {} });
    assert.equal(unknown.status, 400);
    assert.equal(unknown.message, "unsupported options: guided_json, audio");
    assert.equal(unknown.param, "guided_json");
    const several = await refusal("/v1/chat/completions", { messages, frequency_penalty: 3, tools: [{}] });
    assert.equal(several.status, 400);
    assert.match(several.message, /frequency_penalty.*tools/);
    const alone = await refusal("/v1/chat/completions", { messages, top_logprobs: 2 });
    assert.deepEqual(
      [alone.status, alone.param, alone.message],
      [400, "top_logprobs", "top_logprobs: needs logprobs: true"],
    );
    const biased = await refusal("/v1/completions", { prompt: "Once", logit_bias: { dog: 5 } });
    assert.match(biased.message, /logit_bias.dog: keys are token ids/);
    const format = { type: "json_schema", json_schema: { name: "x" } };
    const nameless = await refusal("/v1/chat/completions", { messages, response_format: format });
    assert.deepEqual([nameless.status, nameless.param], [400, "response_format.json_schema.schema"]);
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
  it("counts tokens as generation does", async () => {
    for (const [path, body] of [
      ["/v1/completions", { prompt: "Once upon a time" }],
      ["/v1/chat/completions", { messages }],
    ] as const) {
      const counted = (await (await post("/tokenize", body)).json()) as {
        tokens: number[];
        count: number;
        max_model_len: number;
      };
      assert.deepEqual([counted.count, counted.max_model_len], [counted.tokens.length, 512]);
      const answered = (await (await post(path, { ...body, max_tokens: 1 })).json()) as {
        usage: { prompt_tokens: number };
      };
      assert.equal(counted.count, answered.usage.prompt_tokens);
    }
    assert.equal((await refusal("/tokenize", { prompt: "x", model: "other" })).status, 404);
  });

  it("says that a text generator gives no embeddings", async () => {
    const refused = await refusal("/v1/embeddings", { model: "tiny", input: "dog" });
    assert.deepEqual([refused.status, refused.code], [501, "not_implemented"]);
  });

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
