"""What the dense model and a variant say: greedy answers side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import DynamicCache

from espalier_builder.artifact.chat_config import chat_config
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder

QUESTIONS = (
    "What is the capital of France? Answer in one sentence.",
    "Why is the sky blue?",
    "Write two sentences about a dog that finds a ball.",
    "List three things that one needs to bake bread.",
)
_OPENING_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Answer:
    """`ids`: its tokens, without the mark of the end."""

    text: str
    ids: list[int]


@dataclass(frozen=True, slots=True)
class SideBySide:
    prompt: str
    dense: Answer
    variant: Answer


def side_by_side(
    checkpoint: Checkpoint, variant: OnnxDecoder, documents: list[str], questions: tuple[str, ...], tokens: int
) -> list[SideBySide]:
    """At most `tokens` greedy tokens for each question by the chat template, or, for a model that has none, for as many
    different beginnings of `documents`."""
    tokenizer = checkpoint.tokenizer
    chats = chat_config(checkpoint)["chatTemplate"] is not None
    prompts: list[tuple[str, list[int]]] = []
    for text in questions if chats else documents:
        if chats:
            messages = [{"role": "user", "content": text}]
            rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            prompts.append((text, tokenizer(rendered, add_special_tokens=False).input_ids))
        else:
            ids = tokenizer(text, verbose=False).input_ids[:_OPENING_TOKENS]
            opening = (tokenizer.decode(ids, skip_special_tokens=True), ids)
            # Stories begin alike.
            if opening not in prompts:
                prompts.append(opening)
            if len(prompts) == len(QUESTIONS):
                break
    ends = set(chat_config(checkpoint)["eosTokenIds"])

    def answer(ids: list[int]) -> Answer:
        return Answer(tokenizer.decode(ids, skip_special_tokens=True), ids)

    return [
        SideBySide(
            prompt, answer(_by_pytorch(checkpoint, ids, tokens, ends)), answer(_by_onnx(variant, ids, tokens, ends))
        )
        for prompt, ids in prompts
        if ids
    ]


@torch.inference_mode()
def _by_pytorch(checkpoint: Checkpoint, prompt: list[int], tokens: int, ends: set[int]) -> list[int]:
    model, cache, answer = checkpoint.model, DynamicCache(), list[int]()
    current = torch.tensor([prompt], device=model.lm_head.weight.device)
    while len(answer) < tokens:
        logits = model(current, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]
        token = int(logits.argmax())
        if token in ends:
            break
        answer.append(token)
        current = current.new_tensor([[token]])
    return answer


def _by_onnx(variant: OnnxDecoder, prompt: list[int], tokens: int, ends: set[int]) -> list[int]:
    cache, answer, current = variant.cache(len(prompt) + tokens), list[int](), prompt
    while len(answer) < tokens:
        token = int(variant.extend(cache, current)[-1].argmax())
        if token in ends:
            break
        answer.append(token)
        current = [token]
    return answer
