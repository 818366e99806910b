"""Which matrices get 8 bits beside 4: those that the model's output needs most for the bytes that they take.

A matrix's sensitivity is that of ZeroQ (Cai et al., arXiv:2001.00281): KL(model || the model with this matrix alone
rounded). What several matrices do together is taken to be the sum, as there; the choice is then a knapsack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.prune.decoder import HiddenStates
from espalier_builder.prune.harm import divergence, log_probabilities, through
from espalier_builder.prune.walk import stacks
from espalier_builder.quantize.model import places, stacked, write_back
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import MixedFormats, WeightFormat, wide_format

# What is judged: windows of so many tokens, at the start of evenly spread rows.
WINDOW = 512
WINDOWS = 4


@torch.inference_mode()
def measure_sensitivity(
    model: DecoderModel, rows: Tensor, narrow: WeightFormat, *, progress: Callable[[float], None] = lambda _: None
) -> dict[str, float]:
    """KL in nats per token of every matrix of the layers rounded alone to `narrow`, on calibration `rows` `[N, T]`.

    In fp32, since most matrices do less than bfloat16 does. Costs `2 L` passes over the windows for L layers.
    Raises BuilderError `WEIGHTS_NOT_FINITE`.
    """
    chosen = rows[:: max(1, len(rows) // WINDOWS)][:WINDOWS, :WINDOW]
    stream = HiddenStates(model, chosen, bf16=False)
    layers = list(model.model.layers)
    wanted = log_probabilities(model, through(stream, stream.states, layers))
    found: dict[str, float] = {}
    for index, layer in enumerate(layers):
        outputs = []
        for linears in stacks(layer).values():
            with rounded_to(narrow, linears):
                outputs.append(through(stream, stream.states, [layer]))
        ends = through(stream, torch.cat(outputs), layers[index + 1 :]).chunk(len(outputs))
        for name, end in zip(stacks(layer), ends, strict=True):
            found[f"layers.{index}.{name}"] = max(0.0, divergence(wanted, log_probabilities(model, end)))
        for block in stream.blocks(layer):
            stream.go_through(block)
        progress((index + 1) / len(layers))
    return found


@contextmanager
def rounded_to(weight_format: WeightFormat, linears: list[nn.Linear]) -> Iterator[None]:
    """Linears that read the same input, with their weights rounded for a while."""
    own = [linear.weight.clone() for linear in linears]
    try:
        write_back(quantize_rtn(stacked(linears), weight_format), linears)
        yield
    finally:
        for linear, weight in zip(linears, own, strict=True):
            linear.weight.copy_(weight)


def mixed_formats(
    model: DecoderModel, sensitivity: Mapping[str, float], narrow: WeightFormat, average: float
) -> MixedFormats:
    """Formats whose matrices take no more bytes than `average` bits, on the line from all 4 bits to all 8."""
    wide = wide_format(narrow)
    extra: dict[str, int] = {}
    for place, linears in places(model).items():
        rows, columns = stacked(linears).shape
        extra[place] = rows * (wide.row_bytes(columns) - narrow.row_bytes(columns))
    share = (average - narrow.bits) / (wide.bits - narrow.bits)
    return MixedFormats(narrow, wide, widen(sensitivity, extra, int(share * sum(extra.values()))))


def widen(sensitivity: Mapping[str, float], extra: Mapping[str, int], budget: int) -> frozenset[str]:
    """The matrices to store wide, of `extra` bytes, `budget` in all: by what a byte brings, each that still fits.

    Greedy: what it brings in all falls short of the best choice by less than the first matrix that didn't fit would.
    """
    chosen = []
    for place in sorted(extra, key=lambda place: (-sensitivity[place] / extra[place], place)):
        if extra[place] <= budget:
            chosen.append(place)
            budget -= extra[place]
    return frozenset(chosen)
