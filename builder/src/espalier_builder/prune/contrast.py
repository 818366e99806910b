"""How far apart CFSP's coarse budgets lie: tried on the model instead of fixed.

The contrast of the paper serves SmolLM2 and ruins a small model whose layers differ less than their angles do:
babyllama-1M has perplexity 8.4 with it and 6.3 without any, 36 % gone. Where what is left is refitted it serves both.
Shapes: rows `[N, T]` of token ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.prune.cfsp import OUR_CONTRAST
from espalier_builder.prune.minillm import loss, probe_rows

# The paper's, a quarter of it, and all layers alike.
CONTRASTS = (OUR_CONTRAST, OUR_CONTRAST / 4, 0.0)


@torch.inference_mode()
def least_lossy(model: DecoderModel, rows: Tensor, choices: Sequence[list[Tensor]]) -> list[Tensor]:
    """Of `choices` of the neurons that each layer keeps, by their indices, the one with the least next-token loss on
    some of `rows`, of equals the first. They differ in how many of one order they keep.

    Costs a pass over `PROBE_TOKENS` for each that differs.
    """
    distinct: dict[tuple[int, ...], list[Tensor]] = {}
    for kept in choices:
        distinct.setdefault(tuple(map(len, kept)), kept)
    if len(distinct) == 1:
        return choices[0]
    few = probe_rows(rows)
    return min(distinct.values(), key=lambda kept: _loss_with(model, few, kept))


def _loss_with(model: DecoderModel, rows: Tensor, kept: list[Tensor]) -> float:
    """Of the model that keeps these neurons; nothing is cut, the others are silent."""
    with _silenced(model, kept):
        return loss(model, rows).item()


@contextmanager
def _silenced(model: DecoderModel, kept: Sequence[Tensor]) -> Iterator[None]:
    """The model without all neurons but those `kept`."""

    def silence(neurons: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor]]:
        def hook(_down: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            at = neurons.to(inputs[0].device)
            return (torch.zeros_like(inputs[0]).index_copy_(-1, at, inputs[0].index_select(-1, at)),)

        return hook

    downs = [layer.mlp.down_proj for layer in model.model.layers]
    handles = [down.register_forward_pre_hook(silence(neurons)) for down, neurons in zip(downs, kept, strict=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
