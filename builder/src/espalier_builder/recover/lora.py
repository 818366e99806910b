"""Low-rank adapters (arXiv:2106.09685) whose ranks differ by layer (IG-LoRA of CFSP, arXiv:2409.13199), and merging.

Our own few lines, for one purpose: adapters never leave this process, they are merged before anything is quantized.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel

Ranks = Literal["importance", "uniform", "inverse"]


class Adapter(nn.Module):
    """`linear(x) + scale * B A x`, with A `[rank, in]` random and B `[out, rank]` zero: at first the linear layer."""

    def __init__(self, linear: nn.Linear, rank: int, scale: float, chance: torch.Generator) -> None:
        super().__init__()
        self.linear = linear
        self.scale = scale
        bound = 1 / math.sqrt(linear.in_features)
        device = linear.weight.device
        start = torch.rand(rank, linear.in_features, generator=chance) * 2 * bound - bound
        self.a = nn.Parameter(start.to(device))
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank, device=device))

    def forward(self, inputs: Tensor) -> Tensor:
        low = nn.functional.linear(nn.functional.linear(inputs, self.a), self.b)
        output: Tensor = self.linear(inputs) + self.scale * low
        return output

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The linear layer with the adapter added to its weight."""
        self.linear.weight.copy_(self.linear.weight + self.scale * self.b @ self.a)
        return self.linear


def layer_ranks(importance: list[float], mean_rank: int, rule: Ranks) -> list[int]:
    """Ranks by layer, in proportion to importance or its inverse, at least 1, with `mean_rank` a layer in all.

    Every layer has as many adapters of one rank, so an equal sum is, at equal widths, an equal number of parameters.
    """
    shares = {
        "importance": importance,
        "uniform": [1.0] * len(importance),
        "inverse": [1 / max(each, 1e-6) for each in importance],
    }[rule]
    total = mean_rank * len(shares)
    ideal = [share / sum(shares) * total for share in shares]
    ranks = [max(1, math.floor(each)) for each in ideal]
    while (missing := total - sum(ranks)) != 0:
        step = 1 if missing > 0 else -1
        candidates = [layer for layer, rank in enumerate(ranks) if step > 0 or rank > 1]
        ranks[max(candidates, key=lambda layer: (step * (ideal[layer] - ranks[layer]), -layer))] += step
    return ranks


def attach(model: DecoderModel, ranks: list[int], seed: int, alpha: float = 2.0) -> list[Adapter]:
    """Put an adapter on every linear layer of layer i, of rank `ranks[i]` and scale `alpha` whatever the rank."""
    chance = torch.Generator().manual_seed(seed)
    adapters = []
    for layer, rank in zip(model.model.layers, ranks, strict=True):
        for parent in (layer.self_attn, layer.mlp):
            for name, linear in list(parent.named_children()):
                if isinstance(linear, nn.Linear):
                    adapter = Adapter(linear, rank, alpha, chance)
                    setattr(parent, name, adapter)
                    adapters.append(adapter)
    return adapters


def merge(model: DecoderModel) -> None:
    """Replace every adapter by its linear layer with the adapter's weights added."""
    for layer in model.model.layers:
        for parent in (layer.self_attn, layer.mlp):
            for name, module in list(parent.named_children()):
                if isinstance(module, Adapter):
                    setattr(parent, name, module.merged())
