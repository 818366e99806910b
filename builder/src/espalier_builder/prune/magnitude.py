"""Group magnitude: the floor that any method with calibration data must beat."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def magnitude_scores(down: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Score `[F]`: the Euclidean norm of all weights that leave with the neuron: its column of down `[H, F]`
    and its rows of `inputs`, up and, where there is one, gate `[F, H]`."""
    squares = sum((each.square().sum(1) for each in inputs), start=down.square().sum(0))
    return squares.sqrt()
