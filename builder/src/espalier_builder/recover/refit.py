"""Closed-form recovery: down_proj is solved again by ridge regression after neurons have gone.

In the line of Optimal Brain Surgeon, ZipLM and SlimGPT. Shapes: T tokens, H hidden size, F dense and S kept FFN
neurons; X `[T, F]` the inputs of the dense down_proj, W `[H, F]` its weight.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import HiddenStates

RIDGE = 0.1
# Rows of a Gram matrix computed at once: its lower triangle needs no computing, in steps of this.
PANEL = 256


def solve_down_proj(kept_weight: Tensor, removed_weight: Tensor, gram: Tensor, ridge: float) -> Tensor:
    """`W' [H, S]`, the weight on kept neurons that comes closest to the dense layer's output `X W^T`.

    Minimises `|X_S W'^T - X W^T|^2 + lambda |W' - W_S|^2`, with `kept_weight` W_S `[H, S]`, `removed_weight` W_R
    `[H, F - S]`, `gram` = `X_S^T [X_S, X_R]` `[S, F]`, and lambda `ridge` times its mean diagonal. The ridge pulls
    towards the weights that were, not to zero: directions that calibration didn't see keep the dense weights.
    Raises BuilderError `REFIT_SINGULAR`.
    """
    count = kept_weight.shape[1]
    damped = gram[:, :count].clone()
    damped.diagonal().add_(ridge * damped.diagonal().mean())
    factor, failed = torch.linalg.cholesky_ex(damped)
    if int(failed) != 0:
        raise BuilderError(
            "REFIT_SINGULAR",
            "the calibration statistics of a layer are not positive definite",
            "give more calibration tokens, or prune without refit",
        )
    contributed = gram[:, count:] @ removed_weight.T  # [S, H], what the removed neurons gave
    return kept_weight + torch.cholesky_solve(contributed, factor).T


@torch.inference_mode()
def refit(
    dense: LlamaForCausalLM,
    pruned: LlamaForCausalLM,
    kept: list[Tensor],
    rows: Tensor,
    *,
    ridge: float = RIDGE,
    bf16: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Refit every down_proj of `pruned` in place, first layer first, over calibration `rows` `[N, T]`.

    Sequential: statistics and target of a layer come from the stream that the pruned and refitted layers before it
    produce (target: the dense FFN on that stream). Costs about 1.5 forward passes without the head; holds `[N, T, H]`
    fp32, one layer's X_S and one `[S, F]` fp32 matrix. Raises BuilderError `REFIT_SINGULAR`.
    """
    stream = HiddenStates(pruned, rows, bf16=bf16)
    layers = list(zip(dense.model.layers, pruned.model.layers, kept, strict=True))
    for index, (dense_layer, layer, neurons) in enumerate(layers):
        stream.attend(layer)
        if len(neurons) == dense_layer.mlp.down_proj.in_features:
            for states in stream.batches():
                stream.add_ffn(layer, states, stream.ffn_inner(layer, states))
        else:
            _refit_layer(stream, dense_layer, layer, neurons, ridge)
        progress((index + 1) / len(layers))


def _refit_layer(
    stream: HiddenStates, dense: LlamaDecoderLayer, pruned: LlamaDecoderLayer, kept: Tensor, ridge: float
) -> None:
    """Solve one layer's down_proj on the stream after its attention, then add its output to the stream."""
    weight = dense.mlp.down_proj.weight
    removed = complement(kept, weight.shape[1])
    kept_first = torch.cat([kept, removed])
    gram = torch.zeros(len(kept), len(kept_first), device=kept.device)
    inners = []
    for states in stream.batches():
        inner = stream.ffn_inner(dense, states, kept_first)
        add_gram(gram, inner.float())
        inners.append(inner[:, : len(kept)].clone())
    mirror(gram)
    pruned.mlp.down_proj.weight.copy_(solve_down_proj(weight[:, kept], weight[:, removed], gram, ridge))
    for states, inner in zip(stream.batches(), inners, strict=True):
        stream.add_ffn(pruned, states, inner)


def add_gram(gram: Tensor, inner: Tensor) -> None:
    """Add `X_S^T X` of FFN inputs `[T, F]`, kept neurons first, to `gram` `[S, F]`: its upper panels only."""
    for start in range(0, len(gram), PANEL):
        end = min(start + PANEL, len(gram))
        gram[start:end, start:] += inner[:, start:end].T @ inner[:, start:]


def mirror(gram: Tensor) -> None:
    """Fill what `add_gram` left out: `X_S^T X_S` is symmetric."""
    for start in range(0, len(gram), PANEL):
        end = min(start + PANEL, len(gram))
        gram[end:, start:end] = gram[start:end, end : len(gram)].T


def complement(kept: Tensor, width: int) -> Tensor:
    """The neurons of 0..width-1 that aren't kept, ascending."""
    gone = torch.ones(width, dtype=torch.bool, device=kept.device)
    gone[kept] = False
    return gone.nonzero().flatten()
