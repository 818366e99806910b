import { seededRandom } from "../../agent/src/runtime/random.ts";

/** How requests ended, by kind. */
export interface Tally {
  answered: number;
  cancelled: number;
  /** 429 with a time to come back. */
  refused: number;
  readonly errors: string[];
}

export interface Client {
  readonly tally: Tally;
  /** Sends requests one after another until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface ClientOptions {
  readonly url: string;
  readonly model: string;
  readonly seed: number;
  /** Shared: answers by variant and request. */
  readonly known: Map<string, string>;
}

const prompts = ["Once upon a time", "Tell me a story about a dog.", "Lily and Tom went to the park. They"];

interface Shape {
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly stream: boolean;
  readonly cancel: boolean;
}

/**
 * An application that asks for a bit of everything: chats and completions, plain and streamed, sampled and greedy, with
 * several answers and log probabilities, long prompts; and leaves in the middle of some. An equal request with a seed must
 * get an equal answer from the same variant, whoever asked before.
 */
export function createClient({ url, model, seed, known }: ClientOptions): Client {
  const random = seededRandom(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const tally: Tally = { answered: 0, cancelled: 0, refused: 0, errors: [] };

  function shape(): Shape {
    const stream = below(2) === 0;
    const text = `${prompts[below(prompts.length)]}${" The dog ran.".repeat(below(20))}`;
    const isChat = below(2) === 0;
    const sampled = below(2) === 0 ? { temperature: 1, top_p: 0.9, seed: below(3) } : {};
    const extra = below(4) === 0 ? (isChat ? { logprobs: true, top_logprobs: 2 } : { logprobs: 2 }) : {};
    const several = below(6) === 0 ? { n: 2 } : {};
    const body = { model, max_tokens: 8 + below(4) * 20, ...sampled, ...extra, ...several, stream };
    return isChat
      ? {
          path: "/v1/chat/completions",
          body: { ...body, messages: [{ role: "user", content: text }] },
          stream,
          cancel: below(5) === 0,
        }
      : { path: "/v1/completions", body: { ...body, prompt: text }, stream, cancel: below(5) === 0 };
  }

  async function one({ path, body, stream, cancel }: Shape): Promise<void> {
    const leave = new AbortController();
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(url + path, { ...init, signal: leave.signal });
    if (response.status === 429) {
      tally.refused += 1;
      if (Number(response.headers.get("retry-after")) < 1) tally.errors.push("429 without a time to come back");
      await response.body?.cancel();
      return;
    }
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    if (cancel) {
      await response.body?.getReader().read();
      leave.abort();
      tally.cancelled += 1;
      return;
    }
    const text = await response.text();
    if (stream && !text.endsWith("data: [DONE]\n\n")) throw new Error(`a stream was cut: ${text.slice(-200)}`);
    tally.answered += 1;
    if (!stream) compare(body, text);
  }

  function compare(body: Record<string, unknown>, text: string): void {
    const { choices, system_fingerprint: variant } = JSON.parse(text);
    if (body["seed"] === undefined) return;
    const key = `${variant} ${JSON.stringify(body)}`;
    const answer = JSON.stringify(choices);
    if ((known.get(key) ?? answer) !== answer) tally.errors.push(`another answer to ${key}`);
    known.set(key, answer);
  }

  return {
    tally,
    async run(signal) {
      while (!signal.aborted) {
        await one(shape()).catch((error: unknown) => tally.errors.push(String(error)));
      }
    },
  };
}
