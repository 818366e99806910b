"""Whether a model's own text has degenerated: it repeats itself, says nothing, or doesn't end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

RUN = 4
# A text of which more than half of the runs of four tokens were said before is stuck.
STUCK = 0.5


@dataclass(frozen=True, slots=True)
class Generations:
    """Of `answers` greedy ones, how many are empty, endless (cut off at the most tokens asked for) and stuck.

    `repetition`: the mean share of runs of four tokens said before in the same answer; `distinct`: of all pairs of
    neighbouring tokens in all answers, the share that differ from one another (distinct-2 of Li et al., 2016).
    """

    answers: int
    empty: int
    endless: int
    stuck: int
    repetition: float
    distinct: float

    def to_json(self) -> dict[str, Any]:
        return {
            "answers": self.answers,
            "empty": self.empty,
            "endless": self.endless,
            "stuck": self.stuck,
            "repetition": self.repetition,
            "distinct2": self.distinct,
        }


def generations(answers: list[list[int]], most_tokens: int) -> Generations:
    """Of answers: their token ids without the mark of the end, `most_tokens` where there was none."""
    repeated = [repetition(ids) for ids in answers]
    pairs = [pair for ids in answers for pair in pairwise(ids)]
    return Generations(
        answers=len(answers),
        empty=sum(not ids for ids in answers),
        endless=sum(len(ids) >= most_tokens for ids in answers),
        stuck=sum(share > STUCK for share in repeated),
        repetition=sum(repeated) / len(repeated) if repeated else 0.0,
        distinct=len(set(pairs)) / len(pairs) if pairs else 0.0,
    )


def repetition(ids: list[int]) -> float:
    """Share of the runs of four tokens that occurred before."""
    runs = [tuple(ids[at : at + RUN]) for at in range(len(ids) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0
