import { EspalierError } from "@espalier/shared/errors";
import OpenAI from "openai";

/** A streamed answer of a device's own endpoint, as an application on the device would get it. */
export async function ask(apiUrl: string, question: string, maxTokens: number): Promise<string> {
  const client = new OpenAI({ baseURL: `${apiUrl}/v1`, apiKey: "unused", maxRetries: 2 });
  const [model] = (await client.models.list()).data;
  if (model === undefined)
    throw new EspalierError("demo.no-model", `${apiUrl} serves no model`, { fields: { apiUrl } });
  const stream = await client.chat.completions.create({
    model: model.id,
    messages: [{ role: "user", content: question }],
    stream: true,
    temperature: 0,
    max_tokens: maxTokens,
  });
  let answer = "";
  for await (const chunk of stream) answer += chunk.choices[0]?.delta.content ?? "";
  return answer.trim();
}
