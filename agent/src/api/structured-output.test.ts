import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, Output } from "ai";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { type ServedTinyModel, serveTinyModel } from "./testing/served-tiny-model.ts";

const messages = [{ role: "user", content: "Tell me about a dog." }] as const;
const Dog = z.object({
  name: z.string().min(1).max(12),
  kind: z.enum(["big", "small"]),
  age: z.int().min(0).max(20),
  friends: z.array(z.object({ name: z.string().max(8), barks: z.boolean() })).max(2),
  owner: z.union([z.string().max(10), z.null()]),
});

let served: ServedTinyModel;
let client: OpenAI;
before(async () => {
  served = await serveTinyModel();
  client = new OpenAI({ baseURL: `${served.server.url}/v1`, apiKey: "none", maxRetries: 0 });
});
after(() => served.close());

describe("an answer with a response_format", () => {
  it("is what the openai client's schema asks for, greedy and sampled", async () => {
    const response_format = zodResponseFormat(Dog, "dog");
    for (const options of [
      {},
      { temperature: 1.8, seed: 1 },
      { temperature: 1, top_p: 0.9, seed: 2 },
      { temperature: 2, top_k: 3, seed: 3 },
    ]) {
      const parsed = await client.chat.completions.parse({
        model: "tiny",
        messages: [...messages],
        response_format,
        frequency_penalty: 1,
        ...options,
      });
      const [choice] = parsed.choices;
      assert.equal(choice?.finish_reason, "stop");
      assert.deepEqual(Dog.parse(choice.message.parsed), JSON.parse(choice.message.content ?? ""));
    }
  });

  it("is the same streamed, several times, and with log probabilities", async () => {
    const body = {
      model: "tiny",
      messages: [...messages],
      response_format: zodResponseFormat(Dog, "dog"),
      temperature: 1,
      seed: 5,
      n: 3,
      logprobs: true,
      top_logprobs: 2,
    };
    const plain = await client.chat.completions.create(body);
    const texts = plain.choices.map(({ message }) => message.content ?? "");
    for (const text of texts) Dog.parse(JSON.parse(text));
    assert.ok(new Set(texts).size > 1, "each answer is drawn by a seed of its own");
    const [first] = plain.choices;
    assert.equal(first?.logprobs?.content?.map(({ token }) => token).join(""), texts[0]);
    const streamed = ["", "", ""];
    for await (const { choices } of await client.chat.completions.create({ ...body, stream: true }))
      for (const { index, delta } of choices) streamed[index] += delta.content ?? "";
    assert.deepEqual(streamed, texts);
  });

  it("is an object where it is to be any, and says when it was cut", async () => {
    const body = { model: "tiny", messages: [...messages], response_format: { type: "json_object" as const } };
    const cut = await client.chat.completions.create({ ...body, max_tokens: 3 });
    assert.equal(cut.choices[0]?.finish_reason, "length");
    assert.match(cut.choices[0]?.message.content ?? "", /^\{/);
    const answered = await client.chat.completions.create({ ...body, temperature: 2, seed: 4 });
    if (answered.choices[0]?.finish_reason === "stop")
      assert.equal(typeof JSON.parse(answered.choices[0]?.message.content ?? ""), "object");
  });

  it("is refused with the place in the schema that can't be kept", async () => {
    const schema = { type: "object", properties: { mail: { type: "string", pattern: "(?=a)@" } } };
    const response_format = { type: "json_schema" as const, json_schema: { name: "contact", schema } };
    await assert.rejects(client.chat.completions.create({ model: "tiny", messages: [...messages], response_format }), {
      status: 400,
      code: "unsupported_schema",
      param: "response_format.json_schema.schema.properties.mail.pattern",
    });
    const large = { enum: Array.from({ length: 10_000 }, (_, i) => `value ${i}`) };
    const tooLarge = { type: "json_schema" as const, json_schema: { name: "large", schema: large } };
    await assert.rejects(
      client.chat.completions.create({ model: "tiny", messages: [...messages], response_format: tooLarge }),
      { status: 400, message: /at most 65536 characters/ },
    );
  });

  it("is refused, and not an error of the server, when its schema turns out to allow the same in too many ways", async () => {
    const schema = { type: "string", pattern: "^(?:.?){200}$" };
    const json_schema = { name: "ambiguous", schema };
    const response_format = { type: "json_schema" as const, json_schema };
    await assert.rejects(client.chat.completions.create({ model: "tiny", messages: [...messages], response_format }), {
      status: 400,
      code: "unsupported_schema",
      message: /too many ways/,
    });
  });

  it("is cut where a stop string stands", async () => {
    const body = { model: "tiny", messages: [...messages], response_format: zodResponseFormat(Dog, "dog") };
    const whole = await client.chat.completions.create(body);
    const stopped = await client.chat.completions.create({ ...body, stop: [":"] });
    const [text, cut] = [whole, stopped].map(({ choices }) => choices[0]?.message.content ?? "");
    assert.equal(cut, text?.slice(0, text.indexOf(":")));
    assert.equal(stopped.choices[0]?.finish_reason, "stop");
  });

  it("keeps patterns, formats and bounds as the openai client writes them", async () => {
    const Reading = z.object({
      at: z.iso.datetime(),
      sensor: z.string().regex(/^[A-Z]{2}-\d{2,3}$/),
      share: z.number().min(0).max(1),
      id: z.uuid().nullable(),
      state: z.discriminatedUnion("kind", [
        z.object({ kind: z.literal("ok") }),
        z.object({ kind: z.literal("broken"), code: z.int().min(1).max(99) }),
      ]),
    });
    const response_format = zodResponseFormat(Reading, "reading");
    for (const seed of [1, 2, 3, 4]) {
      const body = { model: "tiny", messages: [...messages], response_format, temperature: 1.5, seed };
      const parsed = await client.chat.completions.parse(body);
      assert.deepEqual(Reading.parse(parsed.choices[0]?.message.parsed), parsed.choices[0]?.message.parsed);
    }
  });

  it("is an object to the AI SDK", async () => {
    const provider = createOpenAICompatible({
      name: "espalier",
      baseURL: `${served.server.url}/v1`,
      supportsStructuredOutputs: true,
    });
    const output = Output.object({ schema: Dog });
    const answered = await generateText({ model: provider("tiny"), output, prompt: "Tell me about a dog." });
    assert.deepEqual(Dog.parse(answered.output), answered.output);
  });

  it("is an object to LangChain", async () => {
    const configuration = { baseURL: `${served.server.url}/v1` };
    const chat = new ChatOpenAI({ model: "tiny", apiKey: "none", configuration, maxRetries: 0 });
    const object = await chat.withStructuredOutput(Dog, { name: "dog", method: "jsonSchema" }).invoke("A dog, please.");
    assert.deepEqual(Dog.parse(object), object);
  });
});
