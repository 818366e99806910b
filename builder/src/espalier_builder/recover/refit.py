"""Closed-form recovery: down_proj is solved again by ridge regression after neurons have gone.

In the line of Optimal Brain Surgeon, ZipLM and SlimGPT. Shapes: T tokens, H hidden size, F dense and S kept FFN
neurons; X `[T, F]` the inputs of the dense down_proj, W `[H, F]` its weight.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import HiddenStates

RIDGE = 0.01


def solve_down_proj(weight: Tensor, gram: Tensor, kept: Tensor, removed: Tensor, ridge: float) -> Tensor:
    """`W' [H, S]`, the weight on kept neurons that comes closest to the dense layer's output `X W^T`.

    Minimises `|X_S W'^T - X W^T|^2 + lambda |W' - W_S|^2` with `gram = X_S^T X` `[S, F]` and lambda `ridge` times its
    mean diagonal. The ridge pulls towards the weights that were, not to zero: unseen inputs meet the dense weights.
    """
    inner = gram[:, kept]
    damped = inner + ridge * inner.diagonal().mean() * torch.eye(len(kept), device=gram.device)
    moved = gram[:, removed] @ weight[:, removed].T  # [S, H], what the removed neurons contributed
    factor, failed = torch.linalg.cholesky_ex(damped)
    if int(failed) != 0:
        raise BuilderError(
            "REFIT_SINGULAR",
            "the calibration statistics of a layer are not positive definite",
            "give more calibration tokens, or prune without refit",
        )
    return weight[:, kept] + torch.cholesky_solve(moved, factor).T


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
    produce (target: the dense FFN on that stream), so a layer also makes good for what came before it. Costs about
    1.5 forward passes without the head; holds `[N, T, H]` fp32, one layer's X and one `[S, F]` fp32 matrix.
    Raises BuilderError `REFIT_SINGULAR`.
    """
    stream = HiddenStates(pruned, rows, bf16=bf16)
    layers = list(zip(dense.model.layers, pruned.model.layers, kept, strict=True))
    for index, (dense_layer, layer, neurons) in enumerate(layers):
        stream.attend(layer)
        width = dense_layer.mlp.down_proj.in_features
        if len(neurons) == width:
            for states in stream.batches():
                stream.add_ffn(layer, states, stream.ffn_inner(layer, states))
        else:
            gram = torch.zeros(len(neurons), width, device=rows.device)
            inners = []
            for states in stream.batches():
                inner = stream.ffn_inner(dense_layer, states)
                gram += accumulate(inner.float(), neurons)
                inners.append(inner[:, neurons])
            removed = complement(neurons, width)
            layer.mlp.down_proj.weight.copy_(
                solve_down_proj(dense_layer.mlp.down_proj.weight, gram, neurons, removed, ridge)
            )
            for states, inner in zip(stream.batches(), inners, strict=True):
                stream.add_ffn(layer, states, inner)
        progress((index + 1) / len(layers))


def accumulate(inner: Tensor, kept: Tensor) -> Tensor:
    """`X_S^T X` `[S, F]` of one batch of FFN inputs `[T, F]`."""
    return inner[:, kept].T @ inner


def complement(kept: Tensor, width: int) -> Tensor:
    """The neurons of 0..width-1 that aren't kept, ascending."""
    gone = torch.ones(width, dtype=torch.bool, device=kept.device)
    gone[kept] = False
    return gone.nonzero().flatten()
