"""How likely a model finds each answer, by the rule of EleutherAI's lm-evaluation-harness (Gao et al., 2021).

An answer is a blank and the choice; its log-likelihood sums over its tokens, which are those of question and answer
together beyond those of the question alone. `acc` takes the likeliest choice, `acc_norm` the likeliest by character of
the choice's text; of equals the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.tasks.questions import Question
from espalier_builder.text.windows import Window


class Scorer(Protocol):
    """Logits `[R, V]` after the tokens at `positions` of a text."""

    def __call__(self, tokens: list[int], positions: list[int]) -> Tensor: ...


def by_pytorch(model: DecoderModel) -> Scorer:
    def score(tokens: list[int], positions: list[int]) -> Tensor:
        places = torch.tensor(positions)
        return scored_logits(model, Window(torch.tensor(tokens), places, places)).cpu()

    return score


def by_onnx(variant: OnnxDecoder) -> Scorer:
    return lambda tokens, positions: torch.from_numpy(variant.logits(tokens, positions))


def likelihoods(
    scorer: Scorer,
    tokenizer: PreTrainedTokenizerBase,
    questions: list[Question],
    context_length: int,
    progress: Callable[[float], None] = lambda _: None,
) -> list[list[float]]:
    """Log-likelihood of every choice of every question. A text beyond the context loses its beginning."""
    found = []
    for done, question in enumerate(questions, 1):
        row = []
        for choice in question.choices:
            before, answer = encoded(tokenizer, question.context, f" {choice}")
            inputs = [*before, *answer][-(context_length + 1) :][:-1]
            positions = list(range(len(inputs) - len(answer), len(inputs)))
            logs = scorer(inputs, positions).float().log_softmax(-1)
            row.append(logs.gather(1, torch.tensor(answer)[:, None]).double().sum().item())
        found.append(row)
        progress(done / len(questions))
    return found


def encoded(tokenizer: PreTrainedTokenizerBase, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Token ids of both, with the marks that the tokenizer sets by itself; blanks at the context's end belong to the
    continuation."""
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    before: list[int] = tokenizer(stripped).input_ids
    together: list[int] = tokenizer(stripped + continuation).input_ids
    return before, together[len(before) :]


def chosen(likelihood: list[float]) -> int:
    return max(range(len(likelihood)), key=lambda at: likelihood[at])


def chosen_by_length(likelihood: list[float], question: Question) -> int:
    return chosen([value / len(choice) for value, choice in zip(likelihood, question.choices, strict=True)])
