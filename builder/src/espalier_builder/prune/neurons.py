"""Which FFN neurons each layer keeps, by the methods that score them on the dense model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaMLP

from espalier_builder.checkpoint.llama import ffn_widths, non_embedding_parameters
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
from espalier_builder.prune.magnitude import magnitude_scores
from espalier_builder.prune.minillm import gate_probe_scores, weight_probe_scores
from espalier_builder.prune.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Calibration:
    """Token rows `[N, T]`, what the dense model does on them, and the seed of methods that draw at random."""

    rows: Tensor
    statistics: Statistics
    seed: int = 0


@torch.inference_mode()
def choose_neurons(
    model: LlamaForCausalLM, pruning: Pruning, calibration: Calibration, progress: Callable[[float], None]
) -> list[Tensor]:
    """Indices of the FFN neurons that layer l keeps, ascending. Raises what `allocate` raises."""
    importance = layer_importance(pruning.method, calibration.statistics)
    widths = allocate(ffn_budget(model), pruning.sparsity, importance, pruning.alignment)
    scores = all_scores(model, pruning.method, calibration, progress)
    return [top(score, width) for score, width in zip(scores, widths, strict=True)]


def all_scores(
    model: LlamaForCausalLM, method: PruningMethod, calibration: Calibration, progress: Callable[[float], None]
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


def ffn_budget(model: LlamaForCausalLM) -> FfnBudget:
    # Gate and up row, down column, and the biases of gate and up where there are any.
    per_neuron = 3 * model.config.hidden_size + 2 * int(model.config.mlp_bias)
    return FfnBudget(tuple(ffn_widths(model)), non_embedding_parameters(model), per_neuron)


def layer_importance(method: PruningMethod, statistics: Statistics) -> list[float]:
    """What the layers' widths are in proportion to: CFSP importance, or all alike where no paper says else."""
    if method in ("magnitude", "random", "minillm", "minillm-gate"):
        return [1.0] * len(statistics.angles)
    contrast = published_contrast(statistics.tokens) if method == "cfsp" else OUR_CONTRAST
    return coarse_importance(statistics.angles, contrast)


def neuron_scores(method: PruningMethod, mlp: LlamaMLP, activation: Tensor) -> Tensor:
    """Score `[F]` of each neuron, higher is kept."""
    down, up, gate = mlp.down_proj.weight, mlp.up_proj.weight, mlp.gate_proj.weight
    if method == "magnitude":
        return magnitude_scores(down, up, gate)
    score = cfsp_scores if method == "cfsp" else cfsp_rel_scores
    return without_nan(score(down, up, gate, activation))


def top(scores: Tensor, count: int) -> Tensor:
    """Indices of the `count` highest scores, ascending; of equals the first, so that chance never decides."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values
