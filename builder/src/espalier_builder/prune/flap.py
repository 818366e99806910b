"""FLAP: fluctuation-based adaptive structured pruning with bias compensation (arXiv:2312.11983), FFN neurons and heads.

For any head size, depth and grouped-query attention, where the authors' code knows one; a group leaves as a whole, with
its true price. Shapes: H hidden size, F inputs of a block's last linear layer, W `[H, F]` its weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from espalier_builder.checkpoint.decoder import heads_of
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.prune.budget import FfnBudget, round_units
from espalier_builder.prune.cut import Cut, channels, whole
from espalier_builder.prune.statistics import Moments, Statistics


@dataclass(frozen=True, slots=True)
class LayerScores:
    """Of neurons `[F]` and of key/value groups `[G]`, on one scale; `group_price`: parameters of a group.

    As in the authors' code the inputs of o_proj are squared and standardised over the layer's channels one by one, and
    a group has the mean of its own. (Were the means standardised, over three groups say, the worst group would be among
    the worst units of every layer, however alike they are.)
    """

    neurons: Tensor
    groups: Tensor
    group_price: int


def fluctuation(weight: Tensor, moments: Moments) -> Tensor:
    """Score `[F]`: how much an input varies about its mean, times its column's squared norm ("WIFV")."""
    return moments.variance * weight.square().sum(0).to(moments.variance.device)


def standardised(scores: Tensor) -> Tensor:
    """Zero mean and unit deviation; all zero where there is nothing to tell apart."""
    if len(scores) < 2:
        return torch.zeros_like(scores)
    return (scores - scores.mean()) / scores.std().clamp(min=1e-12)


@torch.inference_mode()
def flap_cut(model: DecoderModel, statistics: Statistics, budget: FfnBudget, sparsity: float, alignment: int) -> Cut:
    """The neurons and groups over one threshold for the whole model, widths aligned and the budget kept.

    The budget allows for the biases that compensation adds to every layer that has none yet.
    Raises what `round_units` raises.
    """
    layers = [layer_scores(model, index, statistics) for index in range(len(model.model.layers))]
    outputs = (linear for layer in model.model.layers for linear in (layer.self_attn.o_proj, layer.mlp.down_proj))
    added = sum(linear.out_features for linear in outputs if linear.bias is None)
    wanted = math.ceil(sparsity * budget.parameters - 1e-6) + added
    neurons, groups = _over_threshold(layers, wanted, budget.per_neuron)
    spent = sum((len(layer.groups) - len(kept)) * layer.group_price for layer, kept in zip(layers, groups, strict=True))
    removed = math.ceil(max(0, wanted - spent) / budget.per_neuron)
    ideal = [len(kept) / alignment for kept in neurons]
    widths = [count * alignment for count in round_units(budget, removed, ideal, alignment)]
    kept_neurons = [
        layer.neurons.argsort(descending=True, stable=True)[:width].sort().values
        for layer, width in zip(layers, widths, strict=True)
    ]
    return replace(whole(model), neurons=tuple(kept_neurons), groups=tuple(groups))


@torch.inference_mode()
def compensating_biases(model: DecoderModel, cut: Cut, statistics: Statistics) -> dict[str, Tensor]:
    """What the removed inputs gave on average, `W_R mean_R`, as biases of o_proj and down_proj (added to theirs)."""
    biases: dict[str, Tensor] = {}
    for index, source in enumerate(cut.layers):
        layer = model.model.layers[source]
        queries = layer.self_attn.o_proj.in_features // heads_of(model)[source][1]
        blocks = (
            ("self_attn.o_proj", layer.self_attn.o_proj, channels(cut.groups[index], queries), statistics.attention),
            ("mlp.down_proj", layer.mlp.down_proj, cut.neurons[index], statistics.ffn),
        )
        for name, linear, kept, moments in blocks:
            if len(kept) == linear.in_features:
                continue
            mean = moments[source].mean.clone()
            mean[kept] = 0
            own = 0 if linear.bias is None else linear.bias
            biases[f"model.layers.{index}.{name}.bias"] = linear.weight @ mean.to(linear.weight.device) + own
    return biases


def layer_scores(model: DecoderModel, index: int, statistics: Statistics) -> LayerScores:
    """What each unit of a layer is worth, and what a group of heads costs."""
    layer = model.model.layers[index]
    attention = layer.self_attn
    _, groups = heads_of(model)[index]
    of_channels = fluctuation(attention.o_proj.weight, statistics.attention[index])
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    inputs = sum(projection.weight.numel() for projection in projections) + attention.o_proj.weight.numel()
    inputs += sum(projection.bias.numel() for projection in projections if projection.bias is not None)
    return LayerScores(
        neurons=standardised(fluctuation(layer.mlp.down_proj.weight, statistics.ffn[index])),
        groups=standardised(of_channels.square()).view(groups, -1).mean(1),
        group_price=inputs // groups,
    )


def _over_threshold(layers: Sequence[LayerScores], wanted: int, price: int) -> tuple[list[Tensor], list[Tensor]]:
    """Kept neurons and groups by layer: the lowest scores of the whole model go until `wanted` parameters are gone.

    Every layer keeps its best neuron and its best group.
    """
    units = [
        (float(score), layer, kind, index, price if kind == 0 else scores.group_price)
        for layer, scores in enumerate(layers)
        for kind, values in enumerate((scores.neurons, scores.groups))
        for index, score in enumerate(values)
    ]
    kept = [(set(range(len(each.neurons))), set(range(len(each.groups)))) for each in layers]
    gone = 0
    for _, layer, kind, index, cost in sorted(units):
        if gone >= wanted:
            break
        if len(kept[layer][kind]) > 1:
            kept[layer][kind].remove(index)
            gone += cost
    return [torch.tensor(sorted(each)) for each, _ in kept], [torch.tensor(sorted(each)) for _, each in kept]
