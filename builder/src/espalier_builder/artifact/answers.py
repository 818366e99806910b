"""What a variant says: for people who compare two variants side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from espalier_builder.onnx_evaluate.decoder import OnnxDecoder

ANSWERS = 4
ANSWER_TOKENS = 32


def sample_answers(
    variant: OnnxDecoder, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[int]], context_length: int
) -> list[dict[str, Any]]:
    """`answers` of a report: how the exported files go on after the first 4 of `prompts`, greedily, by 32 tokens.

    A prompt that fills the context has no answer.
    """
    answers = []
    for prompt in prompts[:ANSWERS]:
        most = min(ANSWER_TOKENS, context_length - len(prompt))
        if most > 0:
            answer = greedy(variant, prompt, most, tokenizer.eos_token_id)
            texts = [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in (prompt, answer)]
            answers.append({"prompt": texts[0], "answer": texts[1]})
    return answers


def greedy(variant: OnnxDecoder, prompt: list[int], most: int, stop: int | None) -> list[int]:
    """The likeliest tokens after `prompt`, decoded one by one as on a device, `stop` and what follows left out."""
    cache = variant.cache(len(prompt) + most)
    token = int(variant.extend(cache, prompt)[-1].argmax())
    answer: list[int] = []
    while token != stop:
        answer.append(token)
        if len(answer) == most:
            break
        token = int(variant.extend(cache, [token])[-1].argmax())
    return answer
