import type { ChatConfig } from "@espalier/shared/contracts/manifest";
import { EspalierError, messageOf } from "@espalier/shared/errors";
import { Template } from "@huggingface/jinja";

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** Renders a conversation to the text that the model was trained to continue with the assistant's answer. */
export class ChatPrompt {
  readonly #template: Template;
  readonly #specialTokens: { readonly bos_token: string; readonly eos_token: string };

  private constructor(template: Template, config: ChatConfig) {
    this.#template = template;
    this.#specialTokens = { bos_token: config.bosToken ?? "", eos_token: config.eosToken ?? "" };
  }

  /** Null for a model without a chat template. Throws `chat.bad-template` when it isn't Jinja. */
  static of(config: ChatConfig): ChatPrompt | null {
    if (config.chatTemplate === null) return null;
    try {
      return new ChatPrompt(new Template(config.chatTemplate), config);
    } catch (error) {
      throw new EspalierError("chat.bad-template", `The chat template is not valid Jinja: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Throws `chat.refused` when the template rejects the conversation, e.g. for roles out of order. */
  render(messages: readonly ChatMessage[]): string {
    try {
      return this.#template.render({ messages, add_generation_prompt: true, ...this.#specialTokens });
    } catch (error) {
      throw new EspalierError("chat.refused", `The model's chat template refused the messages: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}
