"""Dropping the last layers."""

from __future__ import annotations

from espalier_builder.failure import BuilderError


def layers_to_keep(layer_parameters: list[int], parameters: int, sparsity: float) -> int:
    """How many of the first layers stay so that the share of `parameters` removed comes nearest to `sparsity`.

    `layer_parameters[l]` parameters leave with layer l. At least one layer goes and one stays.
    Raises BuilderError `BUDGET_IMPOSSIBLE` for a model of a single layer.
    """
    if len(layer_parameters) < 2:
        raise BuilderError("BUDGET_IMPOSSIBLE", "a model of one layer can't lose a layer", "prune its FFN instead")
    candidates = range(1, len(layer_parameters))
    return min(candidates, key=lambda kept: (abs(sum(layer_parameters[kept:]) / parameters - sparsity), -kept))
