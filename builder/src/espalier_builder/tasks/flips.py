"""Answers that were right and became wrong, and the reverse, with a paired confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

_NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Flips:
    """Of `questions` answered by both. `change`: of the share that is right; `half_width`: of its 95 % interval."""

    questions: int
    right_before: int
    right_after: int
    became_wrong: int
    became_right: int

    @property
    def change(self) -> float:
        return (self.became_right - self.became_wrong) / self.questions

    @property
    def half_width(self) -> float:
        """From the variance of the paired differences -1, 0 and 1; questions that didn't flip say nothing of it."""
        flipped = self.became_right + self.became_wrong
        variance = max(0.0, flipped / self.questions - self.change**2)
        return _NORMAL_95 * math.sqrt(variance / self.questions)

    def to_json(self) -> dict[str, float | int]:
        return {
            "questions": self.questions,
            "accuracyBefore": self.right_before / self.questions,
            "accuracy": self.right_after / self.questions,
            "change": self.change,
            "changeHalfWidth": self.half_width,
            "becameWrong": self.became_wrong,
            "becameRight": self.became_right,
        }


def flips(before: list[bool], after: list[bool]) -> Flips:
    """Of the same questions, whether each was answered right."""
    pairs = list(zip(before, after, strict=True))
    return Flips(
        questions=len(pairs),
        right_before=sum(before),
        right_after=sum(after),
        became_wrong=sum(was and not now for was, now in pairs),
        became_right=sum(now and not was for was, now in pairs),
    )
