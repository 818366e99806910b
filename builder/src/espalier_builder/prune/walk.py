"""Taking calibration rows through a layer while its matrices change, each on what the matrices before it now give.

Shapes: t tokens of a batch, C inputs of a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderLayer, ffn_inputs
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.recover.refit import add_gram, mirror

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


def walk_layer(stream: HiddenStates, layer: DecoderLayer, change: Change) -> None:
    """Changes the layer's matrices in the order in which they are used, and takes the stream through what they became.

    Holds the inputs of one matrix for all rows and its Gram matrix.
    """
    linears = stacks(layer)
    for block, norm, reading, writing in (
        (stream.attention_block(layer), layer.input_layernorm, "attention.qkv", "attention.output"),
        (stream.ffn_block(layer), layer.post_attention_layernorm, "ffn.gate_up", "ffn.down"),
    ):
        change(reading, linears[reading], gram(norm(states).flatten(0, 1) for states in stream.batches()))
        inner = [block.inner(states) for states in stream.batches()]
        change(writing, linears[writing], relative_gram(stream, block, inner))
        for states, part in zip(stream.batches(), inner, strict=True):
            stream.add_output(states, part, block.linear.weight, block.linear.bias)


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
    """The Gram matrix for a matrix that writes to the residual stream, each token weighted by `1 / mean(h^2)`.

    h is the residual that the output makes. Whatever reads the stream normalises it first, so an error counts relative
    to h (ours). On SmolLM2 the first token of each row carries massive activations (its squared inputs of down_proj are
    350,000 times the median's in layer 11, its residual 36,000 times): unweighted, it alone decides that matrix, and
    ordinary tokens fare worse than with rounding.
    """
    parts = []
    for states, part in zip(stream.batches(), inner, strict=True):
        written = states.clone()
        stream.add_output(written, part, block.linear.weight, block.linear.bias)
        parts.append(part.float() * written.flatten(0, 1).square().mean(-1, keepdim=True).rsqrt())
    return gram(parts)
