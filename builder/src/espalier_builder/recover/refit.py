"""Closed-form recovery: down_proj and o_proj are solved again by ridge regression after their inputs have gone.

In the line of Optimal Brain Surgeon, ZipLM and SlimGPT. Shapes: T tokens, H hidden size, F dense and S kept inputs
of the linear layer (FFN neurons, or channels of attention heads); X `[T, F]` its inputs, W `[H, F]` its weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.checkpoint.llama import heads_of
from espalier_builder.failure import BuilderError
from espalier_builder.prune.cut import Cut, channels
from espalier_builder.prune.decoder import Block, HiddenStates

RIDGE = 0.1
# Rows of a Gram matrix computed at once: its lower triangle needs no computing, in steps of this.
PANEL = 256


def solve(kept_weight: Tensor, removed_weight: Tensor, gram: Tensor, ridge: float) -> Tensor:
    """`W' [H, S]`, the weight on kept inputs that comes closest to the dense layer's output `X W^T`.

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
        raise singular()
    contributed = gram[:, count:] @ removed_weight.T  # [S, H], what the removed inputs gave
    return kept_weight + torch.cholesky_solve(contributed, factor).T


def singular() -> BuilderError:
    return BuilderError(
        "REFIT_SINGULAR",
        "the calibration statistics of a layer are not positive definite",
        "give more calibration tokens, or prune without refit",
    )


@torch.inference_mode()
def refit(
    dense: LlamaForCausalLM,
    cut: Cut,
    rows: Tensor,
    *,
    ridge: float = RIDGE,
    bf16: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Cut:
    """`cut` with every o_proj and down_proj that lost inputs solved again over calibration `rows` `[N, T]`.

    Sequential, first layer first: statistics and target come from the stream that the pruned and refitted layers before
    produce (target: the dense block on that stream). Costs about 1.5 forward passes without the head; holds `[N, T, H]`
    fp32, one layer's X_S and one `[S, F]` fp32 matrix. Raises BuilderError `REFIT_SINGULAR`.
    """
    stream = HiddenStates(dense, rows, bf16=bf16)
    tensors = dict(cut.tensors)
    for index, source in enumerate(cut.layers):
        layer = dense.model.layers[source]
        kept_channels = channels(cut.groups[index], layer.self_attn.o_proj.in_features // heads_of(dense)[source][1])
        for block, kept in (
            (stream.attention_block(layer), kept_channels),
            (stream.ffn_block(layer), cut.neurons[index]),
        ):
            refitted = _refit_block(stream, block, kept, ridge)
            if refitted is not None:
                tensors[f"model.layers.{index}.{block.name}.weight"] = refitted
        progress((index + 1) / len(cut.layers))
    return replace(cut, tensors=tensors)


def _refit_block(stream: HiddenStates, block: Block, kept: Tensor, ridge: float) -> Tensor | None:
    """Add the block's output to the stream, given by its kept inputs; the weight solved for them, if any are gone."""
    linear = block.linear
    if len(kept) == linear.in_features:
        for states in stream.batches():
            stream.add_output(states, block.inner(states), linear.weight, linear.bias)
        return None
    removed = complement(kept, linear.in_features)
    kept_first = torch.cat([kept, removed])
    gram, inners = gather(stream, block, kept_first, len(kept))
    weight = solve(linear.weight[:, kept], linear.weight[:, removed], gram, ridge)
    for states, inner in zip(stream.batches(), inners, strict=True):
        stream.add_output(states, inner, weight, linear.bias)
    return weight


def gather(stream: HiddenStates, block: Block, order: Tensor, count: int) -> tuple[Tensor, list[Tensor]]:
    """`X_S^T X` `[count, F]` with the inputs in `order`, and X_S, the first `count` of them, batch by batch."""
    gram = torch.zeros(count, len(order), device=order.device)
    inners = []
    for states in stream.batches():
        inner = block.inner(states)[:, order]
        add_gram(gram, inner.float())
        inners.append(inner[:, :count].clone())
    mirror(gram)
    return gram, inners


def add_gram(gram: Tensor, inner: Tensor) -> None:
    """Add `X_S^T X` of inputs `[T, F]`, kept ones first, to `gram` `[S, F]`: its upper panels only."""
    for start in range(0, len(gram), PANEL):
        end = min(start + PANEL, len(gram))
        gram[start:end, start:] += inner[:, start:end].T @ inner[:, start:]


def mirror(gram: Tensor) -> None:
    """Fill what `add_gram` left out: `X_S^T X_S` is symmetric."""
    for start in range(0, len(gram), PANEL):
        end = min(start + PANEL, len(gram))
        gram[end:, start:end] = gram[start:end, end : len(gram)].T


def complement(kept: Tensor, width: int) -> Tensor:
    """The inputs of 0..width-1 that aren't kept, ascending."""
    gone = torch.ones(width, dtype=torch.bool, device=kept.device)
    gone[kept] = False
    return gone.nonzero().flatten()
