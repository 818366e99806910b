"""CFSP: coarse-to-fine activation-aware structured pruning of FFN neurons (arXiv:2409.13199), as published and ours.

Shapes: H hidden size, F FFN width. Weights are `[out, in]`: down `[H, F]`; `inputs` are up and gate `[F, H]`, or
up alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# The authors' code divides the sum of angles over tokens by this, so their contrast grows with the calibration set:
# 13.1 x the mean angle at the paper's 131,072 tokens.
PUBLISHED_DIVISOR = 10_000
OUR_CONTRAST = 13.1


def published_contrast(tokens: int) -> float:
    """Contrast between layers that the authors' code arrives at for a calibration set of `tokens`."""
    return tokens / PUBLISHED_DIVISOR


def coarse_importance(angles: tuple[float, ...], contrast: float) -> list[float]:
    """`sigmoid(contrast * (angle_l - mean angle))` per layer: layers that turn the hidden state more keep more."""
    mean = sum(angles) / len(angles)
    return [_sigmoid(contrast * (angle - mean)) for angle in angles]


def _sigmoid(x: float) -> float:
    tail = math.exp(-abs(x))  # The larger one would overflow.
    return (1 if x >= 0 else tail) / (1 + tail)


def cfsp_scores(down: Tensor, inputs: Sequence[Tensor], activation: Tensor) -> Tensor:
    """Score `[F]` as published ("three_w_one_wa"): each neuron's column is normalised by its own sum over H.

    Averaging over H afterwards cancels the weights: the order is that of `activation` `[F]` alone.
    """
    by_activation = down.abs() * activation
    weights = [by_activation, *(each.T.abs() for each in inputs)]
    importance = sum((_shares(each, 0) for each in weights), start=torch.zeros_like(down))
    return (importance * activation).mean(0)


def cfsp_rel_scores(down: Tensor, inputs: Sequence[Tensor], activation: Tensor) -> Tensor:
    """Score `[F]` with each weight relative to other neurons' (normalised over F, not over H), so weights count."""
    by_activation = down.abs() * activation
    weights = [by_activation, *(each.T.abs() for each in inputs)]
    importance = sum((_shares(each, 1) for each in weights), start=torch.zeros_like(down))
    return (importance * activation).mean(0)


def _shares(weights: Tensor, dim: int) -> Tensor:
    """Each of `weights`, none negative, over their sum along `dim`; all 0 where that is 0."""
    total = weights.sum(dim, keepdim=True)
    return weights / total.masked_fill(total == 0, 1.0)
