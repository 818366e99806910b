"""Group magnitude: the floor that any method with calibration data must beat."""

from __future__ import annotations

from torch import Tensor


def magnitude_scores(down: Tensor, up: Tensor, gate: Tensor) -> Tensor:
    """Score `[F]`: the Euclidean norm of all weights that leave with the neuron (gate row, up row, down column)."""
    squares: Tensor = down.square().sum(0) + up.square().sum(1) + gate.square().sum(1)
    return squares.sqrt()
