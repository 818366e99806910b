"""A pruning recipe applied to a model: which parts stay, the smaller model, and its recovery."""

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
from espalier_builder.prune.precision import bf16_is_fast
from espalier_builder.prune.shrink import keep_layers, keep_neurons
from espalier_builder.prune.statistics import Statistics
from espalier_builder.prune.tail import layers_to_keep
from espalier_builder.recover.refit import refit


@dataclass(frozen=True, slots=True)
class Pruned:
    """`achieved_sparsity`: share of the dense model's non-embedding parameters that are gone."""

    model: LlamaForCausalLM
    achieved_sparsity: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Token rows `[N, T]` and what the dense model does on them."""

    rows: Tensor
    statistics: Statistics


def prune(
    model: LlamaForCausalLM,
    pruning: Pruning,
    calibration: Calibration,
    progress: Callable[[float], None] = lambda _: None,
) -> Pruned:
    """The pruned and, where asked, refitted model. `model` is untouched; the result shares unpruned weights with it.

    Raises BuilderError `BUDGET_IMPOSSIBLE`, `ALIGNMENT_TOO_LARGE`, `REFIT_SINGULAR`.
    """
    before = non_embedding_parameters(model)
    if pruning.method == "none":
        return Pruned(model, 0.0)
    if pruning.method == "tail":
        sizes = [sum(weight.numel() for weight in layer.parameters()) for layer in model.model.layers]
        smaller = keep_layers(model, layers_to_keep(sizes, before, pruning.sparsity))
    else:
        kept = choose_neurons(model, pruning, calibration.statistics)
        smaller = keep_neurons(model, kept)
        if pruning.refit:
            refit(model, smaller, kept, calibration.rows, bf16=bf16_is_fast(), progress=progress)
    return Pruned(smaller, 1 - non_embedding_parameters(smaller) / before)


@torch.inference_mode()
def choose_neurons(model: LlamaForCausalLM, pruning: Pruning, statistics: Statistics) -> list[Tensor]:
    """Indices of the FFN neurons that layer l keeps, ascending."""
    # Gate and up row, down column, and the biases of gate and up where there are any.
    per_neuron = 3 * model.config.hidden_size + 2 * int(model.config.mlp_bias)
    budget = FfnBudget(tuple(ffn_widths(model)), non_embedding_parameters(model), per_neuron)
    widths = allocate(budget, pruning.sparsity, layer_importance(pruning.method, statistics), pruning.alignment)
    scores = [
        neuron_scores(pruning.method, layer.mlp, activation)
        for layer, activation in zip(model.model.layers, statistics.activation_norms, strict=True)
    ]
    return [top(score, width) for score, width in zip(scores, widths, strict=True)]


def layer_importance(method: PruningMethod, statistics: Statistics) -> list[float]:
    """What the layers' widths are in proportion to: `magnitude` treats all alike, the others use CFSP's importance."""
    if method == "magnitude":
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
