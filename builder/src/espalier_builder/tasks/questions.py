"""Multiple-choice questions from files of `{"query", "choices", "gold"}` lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from espalier_builder.failure import BuilderError


@dataclass(frozen=True, slots=True)
class Question:
    """`gold`: the index of the right one of `choices`."""

    query: str
    choices: tuple[str, ...]
    gold: int

    @property
    def context(self) -> str:
        """What an answer follows. As in the harness's ARC prompt, `Question:` is asked for `Answer:`."""
        return f"{self.query}\nAnswer:" if self.query.startswith("Question:") else self.query


def read_questions(path: Path, limit: int | None = None) -> list[Question]:
    """The first `limit` questions. Raises BuilderError `TASK_NOT_FOUND`, `TASK_INVALID` naming the line."""
    try:
        lines = path.read_text(encoding="utf8").splitlines()
    except OSError as error:
        raise BuilderError(
            "TASK_NOT_FOUND", f"{path} can't be read ({error.strerror})", "name a .jsonl file"
        ) from error
    questions = [_question(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not questions:
        raise BuilderError("TASK_INVALID", f"{path} holds no question", "give a file with questions in it")
    return questions[:limit]


def _question(line: str, place: str) -> Question:
    try:
        value = json.loads(line)
        query, choices, gold = value["query"], value["choices"], value["gold"]
        texts = all(isinstance(text, str) and text.strip() for text in (query, *choices))
        fits = texts and isinstance(choices, list) and len(choices) > 1 and type(gold) is int
        if not fits or not 0 <= gold < len(choices):
            raise ValueError("query and choices are texts, gold the index of a choice")
    except (ValueError, KeyError, TypeError) as error:
        raise BuilderError(
            "TASK_INVALID",
            f"{place} is no question ({error})",
            'write {"query": "...", "choices": ["...", "..."], "gold": 0}',
        ) from error
    return Question(query, tuple(choices), gold)
