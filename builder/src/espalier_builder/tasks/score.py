"""How likely a model finds each answer, by the rule of EleutherAI's lm-evaluation-harness (Gao et al., 2021).

An answer is a blank and the choice; its log-likelihood sums over its tokens, which are those of question and answer
together beyond those of the question alone. `acc` takes the likeliest choice, `acc_norm` the likeliest by character of
the choice's text; of equals the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.tasks.questions import Question
from espalier_builder.text.rows import start_id
from espalier_builder.text.windows import Window

RULES = ("acc", "acc_norm")


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
    """Log-likelihood of every choice of every question. A text beyond the context loses its beginning.

    Raises BuilderError `CHOICE_UNSCORABLE` and `LOGITS_NOT_FINITE` naming the question, counted from 1.
    """
    found = []
    for done, question in enumerate(questions, 1):
        row = []
        for choice in question.choices:
            before, answer = encoded(tokenizer, question.context, f" {choice}")
            row.append(
                log_likelihood(scorer, before, answer, context_length, f"choice {choice!r} of question {done}")[0]
            )
        found.append(row)
        progress(done / len(questions))
    return found


def log_likelihood(
    scorer: Scorer, before: list[int], answer: list[int], context_length: int, place: str
) -> tuple[float, bool]:
    """Of the tokens `answer` after `before`, in nats, and whether greedy decoding says just these.

    Raises BuilderError `CHOICE_UNSCORABLE` and `LOGITS_NOT_FINITE` naming `place`.
    """
    if not before or not 0 < len(answer) <= context_length:
        raise BuilderError(
            "CHOICE_UNSCORABLE",
            f"{place} is {len(answer)} tokens after {len(before)}, which a context of {context_length} can't score",
            "leave the question out, or write it otherwise",
        )
    inputs = [*before, *answer][-(context_length + 1) :][:-1]
    logits = scorer(inputs, list(range(len(inputs) - len(answer), len(inputs)))).float()
    targets = torch.tensor(answer)
    found = logits.log_softmax(-1).gather(1, targets[:, None]).double().sum().item()
    if not math.isfinite(found):
        raise BuilderError(
            "LOGITS_NOT_FINITE",
            f"the logits of {place} hold NaN or infinity",
            "the model is broken at this level: use a lower sparsity or more bits",
        )
    return found, bool((logits.argmax(-1) == targets).all())


def encoded(tokenizer: PreTrainedTokenizerBase, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Token ids of both; blanks at the context's end belong to the continuation."""
    stripped = context.rstrip()
    together = encode(tokenizer, context + continuation)
    before = encode(tokenizer, stripped)
    return before, together[len(before) :]


def encode(tokenizer: PreTrainedTokenizerBase, text: str, marks: bool | None = None) -> list[int]:
    """With the marks that the tokenizer sets by itself, unless `marks` is False or the text begins with one."""
    start = start_id(tokenizer)
    if marks is None:
        marks = start is None or not text.startswith(tokenizer.decode([start]))
    ids: list[int] = tokenizer(text, add_special_tokens=marks).input_ids
    return ids


def judged(likelihoods: list[list[float]], questions: list[Question]) -> dict[str, list[bool]]:
    """By rule, whether the choice that it takes of each question is the right one."""
    pairs = list(zip(likelihoods, questions, strict=True))
    return {
        "acc": [chosen(values) == each.gold for values, each in pairs],
        "acc_norm": [chosen_by_length(values, each) == each.gold for values, each in pairs],
    }


def chosen(likelihood: list[float]) -> int:
    return max(range(len(likelihood)), key=lambda at: likelihood[at])


def chosen_by_length(likelihood: list[float], question: Question) -> int:
    return chosen([value / len(choice) for value, choice in zip(likelihood, question.choices, strict=True)])
