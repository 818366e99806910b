"""How many FFN neurons each layer keeps, so that the whole model meets one budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espalier_builder.failure import BuilderError

Floats = NDArray[np.float64]
Numbers = NDArray[np.float64] | NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class FfnBudget:
    """`parameters`: non-embedding ones of the dense model. `per_neuron`: parameters that leave with one FFN neuron."""

    widths: tuple[int, ...]
    parameters: int
    per_neuron: int

    def achieved(self, kept: list[int]) -> float:
        """Share of all non-embedding parameters removed when layer i keeps `kept[i]` neurons."""
        return (sum(self.widths) - sum(kept)) * self.per_neuron / self.parameters


def allocate(budget: FfnBudget, sparsity: float, importance: list[float], alignment: int) -> list[int]:
    """Widths per layer: multiples of `alignment`, in proportion to `importance`, whose sum meets the global budget.

    Layer l ideally keeps the share `importance_l / mean * (1 - p)` of its neurons, p being the share of all FFN neurons
    that must go. Where a layer would keep more than all of its neurons, deviations shrink alike until none does and the
    mean stays (CFSP, section 3.2). Whole alignments are handed out by largest remainder, so rounding never moves the
    sum: at least `sparsity` is removed, by less than one alignment more than asked.

    Raises BuilderError `BUDGET_IMPOSSIBLE` where the FFNs don't hold that much, `ALIGNMENT_TOO_LARGE` where a layer is
    narrower than one alignment.
    """
    removed = math.ceil(sparsity * budget.parameters / budget.per_neuron - 1e-9)
    ideal = _ideal_units(budget.widths, _units_left(budget, removed, alignment), importance, alignment)
    return [count * alignment for count in round_units(budget, removed, ideal, alignment)]


def allocate_least_harm(
    budget: FfnBudget, sparsity: float, widths: Sequence[Sequence[int]], harm: Sequence[Sequence[float]], alignment: int
) -> list[int]:
    """Widths per layer: multiples of `alignment` that meet the global budget with the least sum of harm over layers.

    `harm[l][i]` is what is lost when layer l alone keeps `widths[l][i]` neurons (descending to 0); in between a
    `monotone_curve` runs. Exact, by dynamic programming over layers and whole alignments: harm need not be convex. Of
    equals the narrower earlier layer. Raises as `allocate`.
    """
    removed = math.ceil(sparsity * budget.parameters / budget.per_neuron - 1e-9)
    units = _units_left(budget, removed, alignment)
    least = np.full(units + 1, np.inf)  # least[u]: of the layers so far, with u alignments handed out
    least[0] = 0.0
    choices = []
    for own, tried, lost in zip(budget.widths, widths, harm, strict=True):
        options = np.arange(1, own // alignment + 1)
        costs = monotone_curve(np.array(tried[::-1]), np.array(lost[::-1]), options * alignment)
        table = np.full((len(options), units + 1), np.inf)
        for row, (option, cost) in enumerate(zip(options, costs, strict=True)):
            table[row, option:] = least[: max(0, units + 1 - option)] + cost
        choices.append(table.argmin(0))
        least = table.min(0)
    kept = []
    for choice in reversed(choices):
        kept.append(int(choice[units]) + 1)
        units -= kept[-1]
    return [count * alignment for count in reversed(kept)]


def monotone_curve(x: Numbers, y: Floats, at: Numbers) -> Floats:
    """At the points `at` the smooth curve through `(x, y)`, x ascending, that rises and falls only where y does.

    Cubic pieces with slopes by Fritsch and Butland (1984). Straight lines would draw every width to where something was
    tried.
    """
    steps = np.diff(x)
    secants = np.diff(y) / steps
    slopes = np.concatenate([secants[:1], np.zeros(len(x) - 2), secants[-1:]])
    before, after = secants[:-1], secants[1:]
    turns = before * after <= 0
    weights = (2 * steps[1:] + steps[:-1], steps[1:] + 2 * steps[:-1])
    inverse = weights[0] / np.where(turns, 1.0, before) + weights[1] / np.where(turns, 1.0, after)
    slopes[1:-1] = np.where(turns, 0.0, (weights[0] + weights[1]) / inverse)
    piece = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    width, left, right = steps[piece], y[piece], y[piece + 1]
    share = (at - x[piece]) / width
    bend = share * (1 - share)
    ends = left + (right - left) * share**2 * (3 - 2 * share)
    curve: Floats = ends + width * bend * ((1 - share) * slopes[piece] - share * slopes[piece + 1])
    return curve


def round_units(budget: FfnBudget, removed: int, ideal: list[float], alignment: int) -> list[int]:
    """Whole alignments per layer, near `ideal`, so that at least `removed` neurons go and less than one alignment more.

    Raises as `allocate`.
    """
    return _largest_remainder(ideal, _units_left(budget, removed, alignment), budget.widths, alignment)


def _units_left(budget: FfnBudget, removed: int, alignment: int) -> int:
    total = sum(budget.widths)
    if min(budget.widths) < alignment:
        raise BuilderError(
            "ALIGNMENT_TOO_LARGE",
            f"alignment {alignment} is wider than a layer of {min(budget.widths)} FFN neurons",
            "use a smaller alignment",
        )
    # A width that is no multiple of the alignment can't be kept whole.
    units = min((total - removed) // alignment, sum(width // alignment for width in budget.widths))
    if units < len(budget.widths):
        most = (total - len(budget.widths) * alignment) * budget.per_neuron / budget.parameters
        raise BuilderError(
            "BUDGET_IMPOSSIBLE",
            f"{removed} of {total} FFN neurons must go for this sparsity; FFNs alone give at most {most:.3f}",
            "use a lower sparsity, or a method that drops layers",
        )
    return units


def _ideal_units(widths: tuple[int, ...], units: int, importance: list[float], alignment: int) -> list[float]:
    total = sum(widths)
    mean = sum(score * width for score, width in zip(importance, widths, strict=True)) / total
    keep = units * alignment / total
    deviations = [score / mean * keep - keep for score in importance]
    room, highest = 1 - keep, max(deviations)
    shrink = min(1.0, room / highest) if highest > 0 else 1.0
    return [
        (keep + shrink * deviation) * width / alignment for deviation, width in zip(deviations, widths, strict=True)
    ]


def _largest_remainder(ideal: list[float], units: int, widths: tuple[int, ...], alignment: int) -> list[int]:
    """Whole units near `ideal` that sum to `units`; every layer gets at least one and at most what it holds."""
    most = [width // alignment for width in widths]
    counts = [min(cap, max(1, math.floor(share + 1e-9))) for share, cap in zip(ideal, most, strict=True)]
    while (missing := units - sum(counts)) != 0:
        step = 1 if missing > 0 else -1
        open_layers = [layer for layer, count in enumerate(counts) if (count < most[layer] if step > 0 else count > 1)]
        # Ties go to the earlier layer, so that the result never depends on the machine.
        chosen = max(open_layers, key=lambda layer: (step * (ideal[layer] - counts[layer]), -layer))
        counts[chosen] += step
    return counts
