"""Which FFN neurons each layer keeps, by the methods that score them on the dense model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    without_nan,
)
from espalier_builder.prune.harm import Harm
from espalier_builder.prune.magnitude import magnitude_scores
from espalier_builder.prune.minillm import gate_probe_scores, weight_probe_scores
from espalier_builder.prune.statistics import Statistics
from espalier_builder.recover.one_pass import LayerGrams


@dataclass(frozen=True, slots=True)
class Calibration:
    """Token rows `[N, T]`, what the dense model does on them, and the seed of methods that draw at random.

    `harm` is what each layer's loss does on them, `grams` are the dense layers' Gram matrices, where they are known
    already.
    """

    rows: Tensor
    statistics: Statistics
    seed: int = 0
    harm: Harm | None = None
    grams: Iterable[LayerGrams] | None = None


@torch.inference_mode()
def choose_neurons(
    model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Callable[[float], None]
) -> list[Tensor]:
    """Indices of the FFN neurons that layer l keeps, ascending. Raises what `allocate` raises."""
    importance = layer_importance(pruning.method, calibration.statistics)
    widths = allocate(ffn_budget(model), pruning.sparsity, importance, pruning.alignment)
    scores = all_scores(model, pruning.method, calibration, progress)
    return [top(score, width) for score, width in zip(scores, widths, strict=True)]


def all_scores(
    model: DecoderModel, method: PruningMethod, calibration: Calibration, progress: Callable[[float], None]
) -> list[Tensor]:
    """Scores `[F]` of each layer's neurons, higher is kept."""
    if method == "random":
        chance = torch.Generator().manual_seed(calibration.seed)
        return [torch.rand(width, generator=chance) for width in ffn_widths(model)]
    if method in ("minillm", "minillm-gate"):
        probe = weight_probe_scores if method == "minillm" else gate_probe_scores
        return probe(model, calibration.rows, seed=calibration.seed, progress=progress)
    return [
        neuron_scores(method, layer.mlp, activation)
        for layer, activation in zip(model.model.layers, calibration.statistics.activation_norms, strict=True)
    ]


def ffn_budget(model: DecoderModel) -> FfnBudget:
    # Gate and up row, down column, and the biases of gate and up where there are any.
    rows = ffn_inputs(model.model.layers[0].mlp)
    per_neuron = (len(rows) + 1) * model.config.hidden_size + sum(row.bias is not None for row in rows)
    return FfnBudget(tuple(ffn_widths(model)), non_embedding_parameters(model), per_neuron)


def layer_importance(method: PruningMethod, statistics: Statistics) -> list[float]:
    """What the layers' widths are in proportion to: CFSP importance, or all alike where no paper says else."""
    if method in ("magnitude", "random", "minillm", "minillm-gate"):
        return [1.0] * len(statistics.angles)
    contrast = published_contrast(statistics.tokens) if method == "cfsp" else OUR_CONTRAST
    return coarse_importance(statistics.angles, contrast)


def neuron_scores(method: PruningMethod, mlp: FeedForward, activation: Tensor) -> Tensor:
    """Score `[F]` of each neuron, higher is kept."""
    down = mlp.down_proj.weight
    inputs = [linear.weight for linear in ffn_inputs(mlp)]
    if method == "magnitude":
        return magnitude_scores(down, inputs)
    score = cfsp_scores if method == "cfsp" else cfsp_rel_scores
    return without_nan(score(down, inputs, activation.to(down.device)))


def top(scores: Tensor, count: int) -> Tensor:
    """Indices of the `count` highest scores, ascending; of equals the first, so that chance never decides."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values
