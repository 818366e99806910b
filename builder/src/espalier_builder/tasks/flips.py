"""Answers that were right and became wrong, and the reverse: how far chance alone could have moved the share.

The interval is Bonett's and Price's (2012, "Adjusted Wald confidence interval for a difference of binomial proportions
based on paired data"): one flip each way is added to what was seen. The plain interval of paired differences holds the
truth in 70 to 92 of 100 cases where few answers flip, most of them one way, as mild compression makes them; it has no
width at all where none does. The p-value is McNemar's exact one (1947): were a flip either way alike, how often they
would fall as unevenly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Flips:
    """Of `questions` answered by both. `change`: of the share that is right; `interval`: its 95 % interval."""

    questions: int
    right_before: int
    right_after: int
    became_wrong: int
    became_right: int

    @property
    def change(self) -> float:
        return (self.became_right - self.became_wrong) / self.questions

    @property
    def interval(self) -> tuple[float, float]:
        """Not centred on `change`: the two flips that are added draw it towards none."""
        asked = self.questions + 2
        wrong, right = (self.became_wrong + 1) / asked, (self.became_right + 1) / asked
        half = _NORMAL_95 * math.sqrt((wrong + right - (right - wrong) ** 2) / asked)
        return max(-1.0, right - wrong - half), min(1.0, right - wrong + half)

    @property
    def p_value(self) -> float:
        """Two-sided; 1 where nothing flipped."""
        flipped, fewer = self.became_wrong + self.became_right, min(self.became_wrong, self.became_right)
        return min(1.0, 2 * sum(math.comb(flipped, k) for k in range(fewer + 1)) / (1 << flipped))

    def to_json(self) -> dict[str, float | int]:
        return {
            "questions": self.questions,
            "accuracyBefore": self.right_before / self.questions,
            "accuracy": self.right_after / self.questions,
            "change": self.change,
            "changeLow": self.interval[0],
            "changeHigh": self.interval[1],
            "pValue": self.p_value,
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
