"""LLM-Barber (Su et al., arXiv:2408.10631): rebuilds a mask block by block, by what each weight does to the output.

Shapes: G groups of n entries; N rows of T tokens; H hidden size.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderLayer
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.prune.mask.pattern import Pattern
from espalier_builder.prune.mask.sparsegpt import sparsegpt
from espalier_builder.prune.precision import tf32_products
from espalier_builder.prune.walk import layer_grams, stacks

Granularity = Literal["block", "layer", "row"]


@dataclass(frozen=True, slots=True)
class BarberSettings:
    """What LLM-Barber changes at most: the first `threshold` of the pairs that would gain, within each group.

    `solve_again`: what the new masks leave is reconstructed from the dense weights as SparseGPT does it (ours).
    """

    granularity: Granularity
    threshold: float
    solve_again: bool = False


def barber_layer(
    stream: HiddenStates, dense: DecoderLayer, layer: DecoderLayer, settings: BarberSettings, pattern: Pattern
) -> None:
    """Rebuilds the masks of `layer` in place, attention first, then the FFN on what attention has become; takes the
    stream through it. The number of zeros never changes, of N:M not in any group.

    As in the published code with `retain_reconstruction`, weights that come back take their dense values and the others
    stay what their start made of them. A block whose output gets no nearer to the dense block's keeps its start (ours).
    Raises BuilderError `GRAM_SINGULAR`.
    """
    guide = copy.deepcopy(dense)
    grams = layer_grams(stream, dense) if settings.solve_again else {}
    for prefix, block_of in (("attention.", stream.attention_block), ("ffn.", stream.ffn_block)):
        pairs = [
            (name, linear, teacher)
            for name in stacks(layer)
            if name.startswith(prefix)
            for linear, teacher in zip(stacks(layer)[name], stacks(guide)[name], strict=True)
        ]
        block, teaching = block_of(layer), block_of(guide)
        with tf32_products():
            gradients, error = block_gradients(stream, teaching, block, [teacher for _, _, teacher in pairs])
        start = [linear.weight.clone() for _, linear, _ in pairs]
        kept = [weight != 0 for weight in start]
        weights = [
            torch.where(mask, weight, teacher.weight)
            for mask, weight, (_, _, teacher) in zip(kept, start, pairs, strict=True)
        ]
        scores = [weight.abs() * gradient for weight, gradient in zip(weights, gradients, strict=True)]
        rebuilt = rebuild(kept, scores, settings.granularity, settings.threshold, pattern)
        for (name, linear, teacher), weight, mask in zip(pairs, weights, rebuilt, strict=True):
            solved = sparsegpt(teacher.weight, grams[name], ~mask) if settings.solve_again else weight
            linear.weight.copy_(solved.masked_fill(~mask, 0.0))
        with tf32_products():
            rebuilt_error = block_error(stream, teaching, block)
        if rebuilt_error >= error:
            for (_, linear, _), weight in zip(pairs, start, strict=True):
                linear.weight.copy_(weight)
        stream.go_through(block)


def block_gradients(
    stream: HiddenStates, guide: Block, sparse: Block, weights: list[nn.Linear]
) -> tuple[list[Tensor], float]:
    """`sqrt(mean over rows of g^2)` for each of the guide's `weights`, g the gradient of the mean squared difference
    between its output and the sparse block's on one row of the sparse stream; and the mean of that difference.

    As in the published code the gradient is taken at the dense weights.
    """
    squares = [torch.zeros_like(linear.weight) for linear in weights]
    error = 0.0
    for linear in weights:
        linear.weight.requires_grad_(True)
    for states in stream.states.split(1):
        with torch.no_grad():
            wanted = _output(stream, sparse, states)
        with torch.enable_grad():
            loss = (_output(stream, guide, states) - wanted).square().mean()
            gradients = torch.autograd.grad(loss, [linear.weight for linear in weights])
        error += loss.item()
        for total, gradient in zip(squares, gradients, strict=True):
            total += gradient.square()
    for linear in weights:
        linear.weight.requires_grad_(False)
    rows = len(stream.states)
    return [(total / rows).sqrt() for total in squares], error / rows


@torch.no_grad()
def block_error(stream: HiddenStates, guide: Block, sparse: Block) -> float:
    """The mean squared difference between the two blocks' outputs on the stream."""
    total = 0.0
    for states in stream.batches():
        difference = _output(stream, guide, states) - _output(stream, sparse, states)
        total += difference.square().mean().item() * len(states)
    return total / len(stream.states)


def rebuild(
    kept: list[Tensor], scores: list[Tensor], granularity: Granularity, threshold: float, pattern: Pattern
) -> list[Tensor]:
    """New masks of a block's matrices: in each group the best pruned entries change places with the worst kept ones.

    A group is a row, a matrix or the whole block; N:M has `rebuild_in_groups` for all of them.
    """
    if pattern.group is not None:
        size = pattern.group
        return [rebuild_in_groups(mask, score, threshold, size) for mask, score in zip(kept, scores, strict=True)]
    if granularity == "row":
        return [swap(mask, score, threshold) for mask, score in zip(kept, scores, strict=True)]
    if granularity == "layer":
        return [
            swap(mask.view(1, -1), score.view(1, -1), threshold).view_as(mask)
            for mask, score in zip(kept, scores, strict=True)
        ]
    both = swap(
        torch.cat([mask.flatten() for mask in kept])[None],
        torch.cat([score.flatten() for score in scores])[None],
        threshold,
    )
    parts = both[0].split([mask.numel() for mask in kept])
    return [part.view_as(mask) for part, mask in zip(parts, kept, strict=True)]


def rebuild_in_groups(kept: Tensor, scores: Tensor, threshold: float, size: int) -> Tensor:
    """The N:M mask `[R, C]` after what `swap` would bring back in each row has come back, and as many entries with the
    lowest scores have gone from the same groups of `size`."""
    returning = swap(kept, scores, threshold) & ~kept
    counts = returning.view(-1, size).sum(1, keepdim=True)
    order = scores.masked_fill(~kept, torch.inf).view(-1, size).argsort(dim=1, stable=True)
    leaving = torch.zeros_like(order, dtype=torch.bool)
    leaving.scatter_(1, order, torch.arange(size, device=order.device) < counts)
    return (kept | returning) & ~leaving.view_as(kept)


def swap(kept: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """The mask `[G, n]` after, in each group, the first `floor(N * threshold)` pairs of N have changed places.

    Pairs are the pruned entries in descending and the kept ones in ascending order of score; N counts those in which
    the pruned one scores higher.
    """
    pruned_scores, pruned_order = scores.masked_fill(kept, -torch.inf).sort(dim=1, descending=True, stable=True)
    kept_scores, kept_order = scores.masked_fill(~kept, torch.inf).sort(dim=1, stable=True)
    better = (pruned_scores > kept_scores).sum(1, keepdim=True)  # [G, 1]
    changing = torch.arange(kept.shape[1], device=kept.device) < (better * threshold).floor()
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
