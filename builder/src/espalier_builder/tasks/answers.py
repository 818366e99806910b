"""A task as it is put to a model, and what the model answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from espalier_builder.tasks.questions import read_questions
from espalier_builder.tasks.score import Scorer, judged, likelihoods


@dataclass(frozen=True, slots=True)
class Answers:
    """`likelihoods[i]`: of the choices of question i, in nats; `right[rule][i]`: whether it is answered right."""

    likelihoods: list[list[float]]
    right: dict[str, list[bool]]


class Task(Protocol):
    """`identity`: what its answers follow from beside the model, as JSON."""

    name: str
    identity: list[Any]

    def ask(self, scorer: Scorer, progress: Callable[[float], None]) -> Answers:
        """Raises BuilderError `CHOICE_UNSCORABLE`, `LOGITS_NOT_FINITE`."""


class ScoredTask:
    """The first `limit` questions of `file`, by `tasks/score.py`. Raises what `read_questions` raises."""

    def __init__(self, file: Path, limit: int | None, tokenizer: PreTrainedTokenizerBase, context_length: int) -> None:
        self.name = file.stem
        self._questions = read_questions(file, limit)
        self._tokenizer = tokenizer
        self._context_length = context_length
        self.identity: list[Any] = [[each.context, list(each.choices), each.gold] for each in self._questions]

    def ask(self, scorer: Scorer, progress: Callable[[float], None]) -> Answers:
        found = likelihoods(scorer, self._tokenizer, self._questions, self._context_length, progress)
        return Answers(found, judged(found, self._questions))
