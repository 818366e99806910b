"""LLM-Barber (Su et al., arXiv:2408.10631): rebuilds a mask block by block, by what each weight does to the output.

Shapes: G groups of n entries; N rows of T tokens; H hidden size.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderLayer
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.prune.mask.pattern import Pattern
from espalier_builder.prune.walk import stacks

Granularity = Literal["block", "layer", "row"]


def barber_layer(
    stream: HiddenStates,
    dense: DecoderLayer,
    layer: DecoderLayer,
    granularity: Granularity,
    threshold: float,
    pattern: Pattern,
) -> None:
    """Rebuilds the masks of `layer` in place, attention first, then the FFN on what attention has become; takes the
    stream through it. The number of zeros never changes, of N:M not in any group."""
    guide = copy.deepcopy(dense)
    for prefix, block_of in (("attention.", stream.attention_block), ("ffn.", stream.ffn_block)):
        names = [name for name in stacks(layer) if name.startswith(prefix)]
        linears = [linear for name in names for linear in stacks(layer)[name]]
        guides = [linear for name in names for linear in stacks(guide)[name]]
        block = block_of(layer)
        gradients = block_gradients(stream, block_of(guide), block, guides)
        scores = [linear.weight.detach().abs() * grad for linear, grad in zip(guides, gradients, strict=True)]
        kept = [linear.weight != 0 for linear in linears]
        rebuilt = rebuild(kept, scores, granularity, threshold, pattern)
        for linear, teacher, before, after in zip(linears, guides, kept, rebuilt, strict=True):
            returning = after & ~before
            linear.weight.copy_(torch.where(returning, teacher.weight, linear.weight).masked_fill_(~after, 0.0))
        stream.go_through(block)


def block_gradients(stream: HiddenStates, guide: Block, sparse: Block, weights: list[nn.Linear]) -> list[Tensor]:
    """`sqrt(mean over rows of g^2)` for each of the guide's `weights`, g the gradient of the mean squared difference
    between its output and the sparse block's on one row of the sparse stream.

    As in the published code the gradient is taken at the dense weights.
    """
    squares = [torch.zeros_like(linear.weight) for linear in weights]
    for linear in weights:
        linear.weight.requires_grad_(True)
    for states in stream.states.split(1):
        with torch.no_grad():
            wanted = _output(stream, sparse, states)
        with torch.enable_grad():
            loss = (_output(stream, guide, states) - wanted).square().mean()
            gradients = torch.autograd.grad(loss, [linear.weight for linear in weights])
        for total, gradient in zip(squares, gradients, strict=True):
            total += gradient.square()
    for linear in weights:
        linear.weight.requires_grad_(False)
    return [(total / len(stream.states)).sqrt() for total in squares]


def rebuild(
    kept: list[Tensor], scores: list[Tensor], granularity: Granularity, threshold: float, pattern: Pattern
) -> list[Tensor]:
    """New masks of a block's matrices: in each group the best pruned entries change places with the worst kept ones.

    A group is a row, a matrix or the whole block; with N:M each group of M by itself, where one pair at most changes.
    """
    if pattern.group is not None:
        size = pattern.group
        return [
            swap(mask.view(-1, size), score.view(-1, size), threshold, least=1).view_as(mask)
            for mask, score in zip(kept, scores, strict=True)
        ]
    if granularity == "row":
        return [swap(mask, score, threshold) for mask, score in zip(kept, scores, strict=True)]
    shape: Callable[[Tensor], Tensor] = lambda each: each.reshape(1, -1)  # noqa: E731
    if granularity == "layer":
        return [
            swap(shape(mask), shape(score), threshold).view_as(mask) for mask, score in zip(kept, scores, strict=True)
        ]
    both = swap(
        torch.cat([shape(mask) for mask in kept], 1), torch.cat([shape(score) for score in scores], 1), threshold
    )
    parts = both.split([mask.numel() for mask in kept], 1)
    return [part.view_as(mask) for part, mask in zip(parts, kept, strict=True)]


def swap(kept: Tensor, scores: Tensor, threshold: float, least: int = 0) -> Tensor:
    """The mask `[G, n]` after, in each group, the first `floor(N * threshold)` pairs of N have changed places.

    Pairs are the pruned entries in descending and the kept ones in ascending order of score; N counts those in which
    the pruned one scores higher. At least `least` of them change, as far as there are any.
    """
    pruned_scores, pruned_order = scores.masked_fill(kept, -torch.inf).sort(dim=1, descending=True, stable=True)
    kept_scores, kept_order = scores.masked_fill(~kept, torch.inf).sort(dim=1, stable=True)
    better = (pruned_scores > kept_scores).sum(1, keepdim=True)  # [G, 1]
    count = torch.maximum((better * threshold).floor(), better.clamp(max=least))
    changing = torch.arange(kept.shape[1], device=kept.device) < count
    result = kept.clone()
    result.scatter_(1, pruned_order, kept.gather(1, pruned_order) | changing)
    dropped = result.gather(1, kept_order) & ~(changing & kept.gather(1, kept_order))
    result.scatter_(1, kept_order, dropped)
    return result


def _output(stream: HiddenStates, block: Block, states: Tensor) -> Tensor:
    """What the block adds to states `[n, T, H]`, in fp32."""
    with stream.precision():
        output: Tensor = nn.functional.linear(block.inner(states), block.linear.weight, block.linear.bias)
    return output.float()
