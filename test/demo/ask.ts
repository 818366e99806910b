import { EspalierError } from "@espalier/shared/errors";
import OpenAI from "openai";

/** What a model without a chat template is given to continue. */
const opening = "Once upon a time";

/** A streamed answer of a device's own endpoint, as an application on the device would get it. */
export async function ask(apiUrl: string, question: string, maxTokens: number): Promise<string> {
  const client = new OpenAI({ baseURL: `${apiUrl}/v1`, apiKey: "unused", maxRetries: 2 });
  const [model] = (await client.models.list()).data;
  if (model === undefined)
    throw new EspalierError("demo.no-model", `${apiUrl} serves no model`, { fields: { apiUrl } });
  const options = { model: model.id, stream: true, temperature: 0, max_tokens: maxTokens } as const;
  let answer = "";
  try {
    const messages = [{ role: "user", content: question }] as const;
    const stream = await client.chat.completions.create({ ...options, messages: [...messages] });
    for await (const chunk of stream) answer += chunk.choices[0]?.delta.content ?? "";
  } catch (error) {
    if (!(error instanceof OpenAI.APIError) || error.code !== "chat_not_supported") throw error;
    const stream = await client.completions.create({ ...options, prompt: opening });
    answer = opening;
    for await (const chunk of stream) answer += chunk.choices[0]?.text ?? "";
  }
  return answer.trim();
}
