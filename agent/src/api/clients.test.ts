import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { AIMessage, HumanMessage, SystemMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { type ServedTinyModel, serveTinyModel } from "./testing/served-tiny-model.ts";

const messages = [{ role: "user", content: "Tell me a story about a dog." }] as const;
const apiKey = "a key of one's own";

let served: ServedTinyModel;
before(async () => {
  served = await serveTinyModel({ apiKey });
});
after(() => served.close());

describe("the API through the openai client", () => {
  let client: OpenAI;
  before(() => {
    client = new OpenAI({ baseURL: `${served.server.url}/v1`, apiKey, maxRetries: 0 });
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
    // The prompt was known by then, all but its last token.
    const cached = { cached_tokens: plain.usage!.prompt_tokens - 1 };
    assert.deepEqual(chunks.at(-1)!.usage, { ...plain.usage, prompt_tokens_details: cached });
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

  it("gives several answers, the first as if it were alone", async () => {
    const body = { model: "tiny", messages: [...messages], max_tokens: 16, temperature: 1.2, seed: 5 };
    const alone = await client.chat.completions.create(body);
    const three = await client.chat.completions.create({ ...body, n: 3 });
    const texts = three.choices.map((choice) => choice.message.content);
    assert.equal(texts[0], alone.choices[0]!.message.content);
    assert.equal(new Set(texts).size, 3, "each has a seed of its own");
    assert.deepEqual(
      three.choices.map(({ index }) => index),
      [0, 1, 2],
    );
    assert.equal(three.usage!.prompt_tokens, alone.usage!.prompt_tokens);
    const joined = ["", "", ""];
    for await (const { choices } of await client.chat.completions.create({ ...body, n: 3, stream: true }))
      for (const { index, delta } of choices) joined[index] += delta.content ?? "";
    assert.deepEqual(joined, texts);
  });

  it("tells log probabilities of a chat's tokens, streamed or not", async () => {
    const body = { model: "tiny", messages: [...messages], max_tokens: 12, logprobs: true, top_logprobs: 3 };
    const [choice] = (await client.chat.completions.create(body)).choices;
    const content = choice!.logprobs!.content!;
    assert.equal(content.map(({ token }) => token).join(""), choice!.message.content);
    for (const { token, logprob, bytes, top_logprobs } of content) {
      assert.deepEqual(bytes, [...Buffer.from(token)]);
      assert.equal(top_logprobs.length, 3);
      assert.deepEqual(
        [top_logprobs[0]!.token, top_logprobs[0]!.logprob],
        [token, logprob],
        "greedy takes the likeliest",
      );
      assert.ok(top_logprobs.every(({ logprob: other }) => other <= logprob && other < 0));
    }
    const chunks = await Array.fromAsync(await client.chat.completions.create({ ...body, stream: true }));
    const streamed = chunks.flatMap((chunk) => chunk.choices[0]!.logprobs?.content ?? []);
    assert.deepEqual(streamed, content);
  });

  it("tells where a completion's tokens begin, and none of a stop string", async () => {
    const body = { model: "tiny", prompt: "Once upon a time", max_tokens: 24, logprobs: 2 };
    const [whole] = (await client.completions.create(body)).choices;
    const { tokens, text_offset: offsets, token_logprobs: values, top_logprobs: top } = whole!.logprobs!;
    assert.equal(tokens!.length, 24);
    for (const [i, token] of tokens!.entries()) {
      assert.ok(whole!.text.startsWith(token, offsets![i]), `${token} at ${offsets![i]}`);
      assert.equal(top![i]![token], values![i]);
    }
    const stop = whole!.text.slice(9, 17);
    const [cut] = (await client.completions.create({ ...body, stop })).choices;
    const end = whole!.text.indexOf(stop);
    assert.deepEqual(
      cut!.logprobs!.tokens,
      tokens!.filter((_, i) => offsets![i]! < end),
    );
  });

  it("bans a token by its bias", async () => {
    const body = { model: "tiny", prompt: "Once upon a time", max_tokens: 6 };
    const { tokens } = (await (
      await fetch(`${served.server.url}/tokenize`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
        body: JSON.stringify({ prompt: (await client.completions.create(body)).choices[0]!.text }),
      })
    ).json()) as { tokens: number[] };
    const banned = Object.fromEntries(tokens.map((token) => [token, -100]));
    const other = (await client.completions.create({ ...body, logit_bias: banned, logprobs: 0 })).choices[0]!;
    const plain = (await client.completions.create({ ...body, logprobs: 0 })).choices[0]!;
    assert.deepEqual(
      other.logprobs!.tokens!.filter((token) => plain.logprobs!.tokens!.includes(token)),
      [],
    );
  });

  it("raises the client's own errors", async () => {
    const body = { model: "tiny", messages: [...messages] };
    await assert.rejects(client.chat.completions.create({ ...body, n: 99 }), OpenAI.BadRequestError);
    await assert.rejects(client.chat.completions.create({ ...body, model: "gpt-4" }), OpenAI.NotFoundError);
    const stranger = new OpenAI({ baseURL: `${served.server.url}/v1`, apiKey: "a guess", maxRetries: 0 });
    await assert.rejects(stranger.chat.completions.create(body), OpenAI.AuthenticationError);
    assert.equal((await fetch(`${served.server.url}/v1/models`)).status, 401);
    assert.equal((await fetch(`${served.server.url}/health`)).status, 200, "probes of the system have no key");
  });
});

describe("the API through LangChain", () => {
  let chat: ChatOpenAI;
  before(() => {
    const configuration = { baseURL: `${served.server.url}/v1` };
    chat = new ChatOpenAI({ model: "tiny", apiKey, configuration, maxTokens: 24, temperature: 0, maxRetries: 0 });
  });

  it("answers and streams a conversation of several turns", async () => {
    const turns = [
      new SystemMessage("You tell stories."),
      new HumanMessage("Hi."),
      new AIMessage("Hello."),
      new HumanMessage("Tell me a story about a dog."),
    ];
    const answered = await chat.invoke(turns);
    assert.ok(answered.text.length > 10, answered.text);
    const { input_tokens: promptTokens, output_tokens: answerTokens } = answered.usage_metadata!;
    assert.ok(promptTokens > 10 && answerTokens > 0 && answerTokens <= 24);
    let streamed = "";
    for await (const chunk of await chat.stream(turns)) streamed += chunk.text;
    assert.equal(streamed, answered.text);
  });
});

describe("the API through the AI SDK", () => {
  const model = () =>
    createOpenAICompatible({ name: "espalier", baseURL: `${served.server.url}/v1`, apiKey, includeUsage: true })(
      "tiny",
    );
  const prompt = "Tell me a story about a dog.";

  it("answers and streams with usage", async () => {
    const answered = await generateText({ model: model(), prompt, maxOutputTokens: 24, temperature: 0 });
    assert.ok(answered.text.length > 10, answered.text);
    const streamed = streamText({ model: model(), prompt, maxOutputTokens: 24, temperature: 0 });
    assert.equal((await Array.fromAsync(streamed.textStream)).join(""), answered.text);
    assert.deepEqual((await streamed.usage).outputTokens, answered.usage.outputTokens);
    assert.equal(await streamed.finishReason, answered.finishReason);
  });
});
