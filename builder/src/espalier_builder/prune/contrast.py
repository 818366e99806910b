"""How far apart CFSP's coarse budgets lie: tried on the model instead of fixed.

The contrast of the paper serves SmolLM2 and ruins a small model whose layers differ less than their angles do:
babyllama-1M has perplexity 8.4 with it and 6.3 without any, 36 % gone. Where what is left is refitted it serves both.
Shapes: F FFN width of a layer; rows `[N, T]` of token ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.prune.cfsp import OUR_CONTRAST, coarse_importance
from espalier_builder.prune.minillm import loss, probe_rows

# A quarter of what the paper's calibration size gives, and all layers alike. Of equals the first.
CONTRASTS = (OUR_CONTRAST, OUR_CONTRAST / 4, 0.0)


@torch.inference_mode()
def least_lossy_widths(
    model: DecoderModel,
    rows: Tensor,
    angles: tuple[float, ...],
    scores: Sequence[Tensor],
    widths_by: Callable[[list[float]], list[int]],
) -> list[int]:
    """Of the widths that `CONTRASTS` between layers of these `angles` lead to, those whose best neurons by `scores`
    alone have the least next-token loss on some of `rows`.

    `widths_by` makes widths of layers' importance. Costs a pass over `PROBE_TOKENS` for each that differs.
    """
    tried = [widths_by(coarse_importance(angles, contrast)) for contrast in CONTRASTS]
    distinct = [widths for index, widths in enumerate(tried) if widths not in tried[:index]]
    if len(distinct) == 1:
        return distinct[0]
    few = probe_rows(rows)
    return min(distinct, key=lambda widths: _loss_with(model, few, scores, widths))


def _loss_with(model: DecoderModel, rows: Tensor, scores: Sequence[Tensor], widths: list[int]) -> float:
    """Of the model that keeps the `widths[l]` best neurons of layer l; nothing is cut, the others are silent."""
    order = [score.argsort(descending=True, stable=True) for score in scores]
    with _silenced(model, [neurons[width:] for neurons, width in zip(order, widths, strict=True)]):
        return loss(model, rows).item()


@contextmanager
def _silenced(model: DecoderModel, neurons: Sequence[Tensor]) -> Iterator[None]:
    def silence(gone: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor]]:
        def hook(_down: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            return (inputs[0].index_fill(-1, gone.to(inputs[0].device), 0.0),)

        return hook

    downs = [layer.mlp.down_proj for layer in model.model.layers]
    handles = [down.register_forward_pre_hook(silence(gone)) for down, gone in zip(downs, neurons, strict=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
