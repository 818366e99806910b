"""Dropping whole layers: `tail`, `shortgpt` (arXiv:2403.03853) and `angular` (arXiv:2403.17887)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from espalier_builder.failure import BuilderError
from espalier_builder.prune.statistics import Statistics

# The layers that leave when so many must.
Removal = Callable[[int], list[int]]


def tail_removal(layers: int) -> Removal:
    """The last layers go, the final one first."""
    return lambda count: list(range(layers - count, layers))


def shortgpt_removal(statistics: Statistics) -> Removal:
    """The layers of lowest block influence `mean(1 - cos(h_in, h_out))` go, wherever they are; of equals the first."""
    order = sorted(range(len(statistics.influences)), key=lambda layer: statistics.influences[layer])
    return lambda count: sorted(order[:count])


def angular_removal(statistics: Statistics) -> Removal:
    """The block of consecutive layers goes whose input and output differ least by angle, at each row's last token."""
    return lambda count: _nearest_block(statistics.last_states, count)


def _nearest_block(states: Tensor, count: int) -> list[int]:
    """`states` `[L + 1, N, H]`: before the first and after each layer."""
    cosines = torch.nn.functional.cosine_similarity(states[:-count].double(), states[count:].double(), dim=-1)
    distances = cosines.clamp(-1, 1).arccos().mean(1) / math.pi
    start = int(distances.argmin())
    return list(range(start, start + count))


def layers_to_keep(layer_parameters: list[int], parameters: int, sparsity: float, removal: Removal) -> tuple[int, ...]:
    """The layers that stay so that the share of `parameters` removed comes nearest to `sparsity`; of equals fewer go.

    `layer_parameters[l]` parameters leave with layer l. At least one layer goes and one stays.
    Raises BuilderError `BUDGET_IMPOSSIBLE` for a model of a single layer.
    """
    layers = len(layer_parameters)
    if layers < 2:
        raise BuilderError("BUDGET_IMPOSSIBLE", "a model of one layer can't lose a layer", "prune its FFN instead")

    def distance(count: int) -> tuple[float, int]:
        gone = sum(layer_parameters[layer] for layer in removal(count))
        return abs(gone / parameters - sparsity), count

    gone = set(removal(min(range(1, layers), key=distance)))
    return tuple(layer for layer in range(layers) if layer not in gone)
