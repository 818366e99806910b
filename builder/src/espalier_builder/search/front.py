"""The Pareto front of quality against weight, its knee, and the floor below which no quality may fall."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from espalier_builder.failure import BuilderError

# A row of the `SensitivityReport`.
Candidate = dict[str, Any]
_FLOOR = re.compile(r"(agreement|kl|perplexity|bitsPerByte)\s*(>=|<=)\s*([0-9.eE+-]+)")


@dataclass(frozen=True, slots=True)
class Floor:
    """`agreement >= 0.9`, or at most so much `kl`, `perplexity` or `bitsPerByte`."""

    figure: str
    limit: float

    @property
    def at_least(self) -> bool:
        return self.figure == "agreement"

    def violation(self, candidate: Candidate) -> float:
        """How far the candidate is on the wrong side of the limit; at most 0 where it is met."""
        value: float = candidate["quality"][self.figure]
        return self.limit - value if self.at_least else value - self.limit

    def __str__(self) -> str:
        return f"{self.figure}{'>=' if self.at_least else '<='}{self.limit:g}"


def parse_floor(text: str) -> Floor:
    """Raises BuilderError `FLOOR_INVALID`."""
    found = _FLOOR.fullmatch(text.strip())
    wanted: Literal[">=", "<="] = ">=" if found and found[1] == "agreement" else "<="
    try:
        limit = float(found[3]) if found else math.nan
    except ValueError:
        limit = math.nan
    if found is None or found[2] != wanted or not math.isfinite(limit):
        raise BuilderError(
            "FLOOR_INVALID",
            f"{text!r} is no floor",
            "write agreement>=0.9, or kl<=0.1, perplexity<=30 or bitsPerByte<=1.1",
        )
    return Floor(found[1], limit)


def cost(candidate: Candidate) -> int:
    """Bytes of the weights: what a download moves, and what decoding reads a token but for tables that all share."""
    size: int = candidate["shape"]["weightBytes"]
    return size


def damage(candidate: Candidate) -> float:
    """KL(dense || candidate) in nats a token."""
    kl: float = candidate["quality"]["kl"]
    return kl


def pareto_front(candidates: list[Candidate]) -> list[Candidate]:
    """Those that no other is both lighter and better than, the lightest first; of equals the first asked."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda each: (cost(each), damage(each))):
        if not front or damage(candidate) < damage(front[-1]):
            front.append(candidate)
    return front


def knee(front: list[Candidate]) -> Candidate | None:
    """The candidate furthest below the line between the front's ends, weight by its logarithm: beyond it, a byte saved
    costs ever more quality. None for an empty front."""
    if len(front) < 3:
        return front[-1] if front else None
    first, last = front[0], front[-1]
    width = math.log(cost(last)) - math.log(cost(first))
    height = damage(first) - damage(last)

    def depth(candidate: Candidate) -> float:
        along = (math.log(cost(candidate)) - math.log(cost(first))) / width
        return 1 - along - (damage(candidate) - damage(last)) / height

    return max(front, key=depth)


def most_compressed(candidates: list[Candidate], floor: Floor) -> Candidate | None:
    """The lightest candidate above the floor, None where none is."""
    good = [candidate for candidate in candidates if floor.violation(candidate) <= 0]
    return min(good, key=lambda each: (cost(each), damage(each)), default=None)
