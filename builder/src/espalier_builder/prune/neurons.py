"""Which FFN neurons each layer keeps, by the methods that score them on the dense model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_builder.checkpoint.decoder import ffn_widths, non_embedding_parameters
from espalier_builder.checkpoint.family import DecoderModel, FeedForward, ffn_inputs
from espalier_builder.contracts import Pruning, PruningMethod
from espalier_builder.prune.budget import FfnBudget, allocate
from espalier_builder.prune.cfsp import (
    OUR_CONTRAST,
    cfsp_rel_scores,
    cfsp_scores,
    coarse_importance,
    published_contrast,
)
from espalier_builder.prune.contrast import CONTRASTS, least_lossy
from espalier_builder.prune.harm import Harm
from espalier_builder.prune.magnitude import magnitude_scores
from espalier_builder.prune.minillm import ESTIMATED_METHODS, estimated_scores
from espalier_builder.prune.statistics import Statistics
from espalier_builder.recover.one_pass import LayerGrams


@dataclass(frozen=True, slots=True)
class Calibration:
    """Token rows `[N, T]`, what the dense model does on them, and the seed of methods that draw at random.

    Where they are known already: `harm` is what each layer's loss does on them, `estimated` are the scores `[F]` of
    each layer's neurons by the method that is asked for, `grams` the dense layers' Gram matrices.
    """

    rows: Tensor
    statistics: Statistics
    seed: int = 0
    harm: Harm | None = None
    estimated: Sequence[Tensor] | None = None
    grams: Iterable[LayerGrams] | None = None


@torch.inference_mode()
def choose_neurons(
    model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Callable[[float], None]
) -> list[Tensor]:
    """Indices of the FFN neurons that layer l keeps, ascending. Raises what `allocate` raises."""
    budget, angles = ffn_budget(model), calibration.statistics.angles
    scores = calibration.estimated or all_scores(model, pruning.method, calibration, progress)

    def kept_by(contrast: float) -> list[Tensor]:
        """Widths by CFSP's coarse importance; without contrast all layers lose alike."""
        widths = allocate(budget, pruning.sparsity, coarse_importance(angles, contrast), pruning.alignment)
        return [top(score, width) for score, width in zip(scores, widths, strict=True)]

    if pruning.method == "cfsp":
        return kept_by(published_contrast(calibration.statistics.tokens))
    if pruning.method != "cfsp-rel":  # No paper says how layers differ.
        return kept_by(0.0)
    if pruning.refit:
        return kept_by(OUR_CONTRAST)
    return least_lossy(model, calibration.rows, [kept_by(contrast) for contrast in CONTRASTS])


def all_scores(
    model: DecoderModel, method: PruningMethod, calibration: Calibration, progress: Callable[[float], None]
) -> list[Tensor]:
    """Scores `[F]` of each layer's neurons, higher is kept."""
    if method == "random":
        chance = torch.Generator().manual_seed(calibration.seed)
        return [torch.rand(width, generator=chance) for width in ffn_widths(model)]
    if method in ESTIMATED_METHODS:
        return estimated_scores(model, method, calibration.rows, seed=calibration.seed, progress=progress)
    return [
        neuron_scores(method, layer.mlp, activation)
        for layer, activation in zip(model.model.layers, calibration.statistics.activation_norms, strict=True)
    ]


def ffn_budget(model: DecoderModel) -> FfnBudget:
    # Gate and up row, down column, and the biases of gate and up where there are any.
    rows = ffn_inputs(model.model.layers[0].mlp)
    per_neuron = (len(rows) + 1) * model.config.hidden_size + sum(row.bias is not None for row in rows)
    return FfnBudget(tuple(ffn_widths(model)), non_embedding_parameters(model), per_neuron)


def neuron_scores(method: PruningMethod, mlp: FeedForward, activation: Tensor) -> Tensor:
    """Score `[F]` of each neuron, higher is kept."""
    down = mlp.down_proj.weight
    inputs = [linear.weight for linear in ffn_inputs(mlp)]
    if method == "magnitude":
        return magnitude_scores(down, inputs)
    score = cfsp_scores if method == "cfsp" else cfsp_rel_scores
    return score(down, inputs, activation.to(down.device))


def top(scores: Tensor, count: int) -> Tensor:
    """Indices of the `count` highest scores, ascending; of equals the first, so that chance never decides."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values
