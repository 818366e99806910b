"""Taking calibration rows through a layer while its matrices change, each on what the matrices before it now give.

Shapes: t tokens of a batch, C inputs of a matrix.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderLayer, ffn_inputs
from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.recover.ridge import add_gram, correct, mirror, with_ridge

# (name, linears that read the same input, its Gram matrix [C, C]); rewrites the linears' weights in place.
Change = Callable[[str, list[nn.Linear], Tensor], None]


def stacks(layer: DecoderLayer) -> dict[str, list[nn.Linear]]:
    """A layer's linears, those that read the same input together, by the name of their matrix in the exported file."""
    attention, mlp = layer.self_attn, layer.mlp
    return {
        "attention.qkv": [attention.q_proj, attention.k_proj, attention.v_proj],
        "attention.output": [attention.o_proj],
        "ffn.gate_up": ffn_inputs(mlp),
        "ffn.down": [mlp.down_proj],
    }


@dataclass(frozen=True, slots=True)
class Dense:
    """The dense model's layer, and its stream before it."""

    stream: HiddenStates
    layer: DecoderLayer


def walk_layer(stream: HiddenStates, layer: DecoderLayer, change: Change, dense: Dense | None = None) -> None:
    """Changes the layer's matrices in the order in which they are used, and takes the stream through what they became.

    With `dense` a matrix that writes to the stream first makes good what the stream lacks of the dense one, which goes
    through its layer beside it. Holds the inputs of one matrix for all rows and its Gram matrix.
    """
    linears = stacks(layer)
    attention, ffn = stream.blocks(layer)
    dense_attention, dense_ffn = (None, None) if dense is None else dense.stream.blocks(dense.layer)
    for block, reference, norm, reading, writing in (
        (attention, dense_attention, layer.input_layernorm, "attention.qkv", "attention.output"),
        (ffn, dense_ffn, layer.post_attention_layernorm, "ffn.gate_up", "ffn.down"),
    ):
        change(reading, linears[reading], gram(norm(states).flatten(0, 1) for states in stream.batches()))
        inner = [block.inner(states) for states in stream.batches()]
        statistics = relative_gram(stream, block, inner)
        if dense is not None and reference is not None:
            dense.stream.go_through(reference)
            block.linear.weight.copy_(corrected(stream, block, inner, statistics, dense.stream))
        change(writing, linears[writing], statistics)
        for states, part in zip(stream.batches(), inner, strict=True):
            stream.add_output(states, part, block.linear.weight, block.linear.bias)


def layer_grams(stream: HiddenStates, layer: DecoderLayer) -> dict[str, Tensor]:
    """The plain Gram matrix `[C, C]` of what each of the layer's matrices reads while none of them has changed yet.

    `stream` stays before the layer; holds a second one while it runs.
    """
    ahead = copy.copy(stream)
    ahead.states = stream.states.clone()
    grams: dict[str, Tensor] = {}
    attention, ffn = ahead.blocks(layer)
    for block, norm, reading, writing in (
        (attention, layer.input_layernorm, "attention.qkv", "attention.output"),
        (ffn, layer.post_attention_layernorm, "ffn.gate_up", "ffn.down"),
    ):
        grams[reading] = gram(norm(states).flatten(0, 1) for states in ahead.batches())
        grams[writing] = gram(block.inner(states) for states in ahead.batches())
        ahead.go_through(block)
    return grams


def corrected(stream: HiddenStates, block: Block, inner: list[Tensor], gram: Tensor, wanted: HiddenStates) -> Tensor:
    """The weight of the block's last linear layer that brings `stream` to `wanted`, as `refit` does with a correction.

    `gram`: `relative_gram` of the inputs `inner`; tokens are weighted alike here. Zeros (of a mask) stay.
    """
    linear = block.linear
    missing = torch.zeros(linear.in_features, linear.out_features, device=linear.weight.device)
    for states, part, goal in zip(stream.batches(), inner, wanted.batches(), strict=True):
        reached = states.clone()
        stream.add_output(reached, part, linear.weight, linear.bias)
        lacking = (goal - reached) / mean_square(reached)
        missing += part.float().T @ lacking.flatten(0, 1)
    return correct(linear.weight, with_ridge(gram, stream.tokens), missing).masked_fill(linear.weight == 0, 0.0)


def gram(inputs: Iterable[Tensor]) -> Tensor:
    """`X^T X` `[C, C]` of inputs that come in parts `[t, C]`."""
    total: Tensor | None = None
    for part in inputs:
        if total is None:
            total = torch.zeros(part.shape[1], part.shape[1], device=part.device)
        add_gram(total, part.float())
    if total is None:
        raise ValueError("no inputs")
    mirror(total)
    return total


def relative_gram(stream: HiddenStates, block: Block, inner: list[Tensor]) -> Tensor:
    """The Gram matrix for a matrix that writes to the residual stream, of `relative_inputs`."""
    return gram(relative_inputs(stream, block, inner))


def relative_inputs(stream: HiddenStates, block: Block, inner: list[Tensor]) -> list[Tensor]:
    """The inputs of a matrix that writes to the residual stream, each token's divided by the root mean square of h.

    h is the residual that the output makes. Whatever reads the stream normalises it first, so an error counts relative
    to h (ours). On SmolLM2 the first token of each row carries massive activations (its squared inputs of down_proj are
    350,000 times the median's in layer 11, its residual 36,000 times): unweighted, it alone decides that matrix, and
    ordinary tokens fare worse than with rounding.
    """
    parts = []
    for states, part in zip(stream.batches(), inner, strict=True):
        written = states.clone()
        stream.add_output(written, part, block.linear.weight, block.linear.bias)
        parts.append(part.float() * mean_square(written.flatten(0, 1)).rsqrt())
    return parts


def mean_square(states: Tensor) -> Tensor:
    """Of each state `[.., H]`, `[.., 1]`, to divide by: above 0 for a state of zeros too, as a padding token has it."""
    return states.square().mean(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)


def require_finite_inputs(statistics: Tensor, place: str) -> None:
    """`statistics` are of the activations that the matrix `place` reads. Raises BuilderError
    `ACTIVATIONS_NOT_FINITE`: compared with NaN no choice is better than another."""
    if not bool(statistics.isfinite().all()):
        raise BuilderError(
            "ACTIVATIONS_NOT_FINITE",
            f"{place}: what this matrix reads on the calibration text is NaN, infinite or too large to be squared",
            "give other calibration text; if it stays, the checkpoint is damaged",
        )
