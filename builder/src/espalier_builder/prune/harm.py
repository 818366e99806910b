"""How much the model's output suffers when one layer keeps fewer FFN neurons, on text that nothing was fitted to.

What a layer's inputs and outputs say (angles, errors of its own output) is no measure of that: on SmolLM2 the first
four and the last two layers look ordinary by their angles and are needed most.
Shapes: T tokens, H hidden size, F FFN width of a layer, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderLayer, DecoderModel
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.recover.ridge import add_gram, factor, mirror, trust, with_ridge
from espalier_builder.recover.surgeon import eliminate

# Shares of a layer's neurons that are tried. Of SmolLM2's curves at every twelfth these five give back what matters:
# the widths that they lead to cost 1 to 2 % more than those of all twelve do.
KEPT = tuple(twelfths / 12 for twelfths in (11, 9, 6, 3, 0))
# What is judged: a window of so many tokens of each row, of so many rows, each STRIDE-th token of it scored. On SmolLM2
# 256 tokens of a row lead to widths that are 1 % worse on text outside of calibration and evaluation, 512 to 0.6 %.
WINDOW = 1024
MOST_WINDOWS = 16
STRIDE = 2


@dataclass(frozen=True, slots=True)
class Harm:
    """`widths[l]`, descending from layer l's own width to 0, and `kl[l]`: KL(dense || layer l alone cut to that width),
    in nats per token, 0 for its own width and never falling."""

    widths: tuple[tuple[int, ...], ...]
    kl: tuple[tuple[float, ...], ...]


@torch.inference_mode()
def measure_harm(
    model: DecoderModel, rows: Tensor, *, bf16: bool = False, progress: Callable[[float], None] = lambda _: None
) -> Harm:
    """Cuts each layer by itself, by `eliminate` on `rows` `[N, T]`, and runs the other layers on what it then gives.

    In two folds: rows of the first half are judged by what was solved on the second half, and the reverse, so that all
    of the text is judged and none of it by what was fitted to it (unless there is just one row). Rows come in the
    text's order, so where they overlap they are in the same fold. Costs as much as `len(KEPT) * L / 2` passes over the
    judged windows. Raises BuilderError `REFIT_SINGULAR`.
    """
    halves = rows.tensor_split(2) if len(rows) > 1 else (rows,)
    fitted = [HiddenStates(model, half, bf16=bf16) for half in halves]
    judged = [HiddenStates(model, _windows(half, MOST_WINDOWS // len(halves)), bf16=bf16) for half in halves]
    layers = list(model.model.layers)
    dense = [log_probabilities(model, through(stream, stream.states, layers)) for stream in judged]
    widths, kl = [], []
    for index, layer in enumerate(layers):
        for stream in (*fitted, *judged):
            stream.go_through(stream.attention_block(layer))
        harms: list[list[float]] = []
        for stream, other, wanted in zip(fitted, judged[::-1], dense[::-1], strict=True):
            tried = [(0, None), *_cuts(stream, stream.ffn_block(layer))]
            block = other.ffn_block(layer)
            inner = [block.inner(states) for states in other.batches()]
            outputs = torch.cat([_output(other, block, inner, cut) for _, cut in tried])
            ends = through(other, outputs, layers[index + 1 :]).chunk(len(tried))
            harms.append([divergence(wanted, log_probabilities(model, end)) for end in ends])
        widths.append((layer.mlp.down_proj.in_features, *(width for width, _ in reversed(tried))))
        kl.append((0.0, *_never_falling([sum(each) / len(each) for each in zip(*harms, strict=True)][::-1])))
        for stream in (*fitted, *judged):
            stream.go_through(stream.ffn_block(layer))
        progress((index + 1) / len(layers))
    return Harm(tuple(widths), tuple(kl))


def _windows(rows: Tensor, most: int) -> Tensor:
    """Windows `[n, WINDOW]` of `most` of the rows `[N, T]` or all, at the start of one, further on in the next."""
    length = min(WINDOW, rows.shape[1])
    starts = rows.shape[1] // length
    chosen = rows[:: max(1, len(rows) // most)][:most]
    return torch.stack([row[(at % starts) * length :][:length] for at, row in enumerate(chosen)])


Kept = tuple[Tensor, Tensor]  # inputs that stay and the weight on them


def _cuts(stream: HiddenStates, block: Block) -> list[tuple[int, Kept]]:
    """The block's last linear layer cut to the widths of `KEPT` above 0, ascending."""
    weight, size = block.linear.weight, block.linear.in_features
    gram = torch.zeros(size, size, device=weight.device)
    for states in stream.batches():
        inner = block.inner(states)
        written = states.clone()
        stream.add_output(written, inner, weight, block.linear.bias)
        add_gram(gram, inner.float() * trust(written.flatten(0, 1)).sqrt())
    mirror(gram)
    gram = with_ridge(gram, stream.tokens)
    alive = torch.arange(size, device=weight.device)
    cuts: list[tuple[int, Kept]] = []
    for width in sorted({int(share * size) for share in KEPT} - {0, size}, reverse=True):
        inverse = torch.cholesky_inverse(factor(gram[alive][:, alive]))
        stay, weight = eliminate(weight, inverse, width)
        alive = alive[stay]
        cuts.append((width, (alive, weight)))
    return cuts[::-1]


def _output(stream: HiddenStates, block: Block, inner: list[Tensor], kept: Kept | None) -> Tensor:
    """The stream's states after the block with only `kept` of its inputs `inner`, or without the block."""
    other = copy.copy(stream)
    other.states = stream.states.clone()
    if kept is not None:
        inputs, weight = kept
        for states, part in zip(other.batches(), inner, strict=True):
            other.add_output(states, part[:, inputs], weight, block.linear.bias)
    return other.states


def through(stream: HiddenStates, states: Tensor, layers: list[DecoderLayer]) -> Tensor:
    """`states` `[n, T, H]` after `layers`; `stream` says how they are computed and stays where it is."""
    other = copy.copy(stream)
    other.states = states.clone()
    for layer in layers:
        for block in other.blocks(layer):
            other.go_through(block)
    return other.states


def log_probabilities(model: DecoderModel, states: Tensor) -> Tensor:
    """Of every STRIDE-th token, `[T / STRIDE, V]`."""
    logits: Tensor = model.lm_head(model.model.norm(states[:, STRIDE - 1 :: STRIDE].flatten(0, 1)))
    return logits.float().log_softmax(-1)


def divergence(dense: Tensor, other: Tensor) -> float:
    """KL(dense || other) in nats per token, of log probabilities `[T, V]`."""
    return (dense.exp() * (dense - other)).sum(-1).mean(dtype=torch.float64).item()


def _never_falling(values: list[float]) -> list[float]:
    """Each at least as large as those before it and 0: what falls is chance."""
    highest = 0.0
    return [highest := max(highest, value) for value in values]
