"""A model's masks by one method: pruned weights as exact zeros, under their standard names."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderLayer, DecoderModel
from espalier_builder.contracts import Pruning
from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import HiddenStates
from espalier_builder.prune.mask.barber import BarberSettings, barber_layer
from espalier_builder.prune.mask.pattern import Pattern, lowest_of_all
from espalier_builder.prune.mask.sparsegpt import sparsegpt
from espalier_builder.prune.walk import layer_grams, require_finite_inputs, stacks

Start = Literal["magnitude", "wanda", "sparsegpt"]
Progress = Callable[[float], None]


# As published, but for Wanda: rows with a threshold of 0.01 change nothing where a row has fewer than 200 inputs, and
# 0.1 is better where they do (3.82 instead of 4.16 on a model of 1 M parameters).
BARBER: Mapping[Start, BarberSettings] = {
    "magnitude": BarberSettings("block", 0.1),
    "wanda": BarberSettings("row", 0.1),
    "sparsegpt": BarberSettings("layer", 0.1, solve_again=True),
}


def choose_masks(model: DecoderModel, pruning: Pruning, rows: Tensor, progress: Progress) -> dict[str, Tensor]:
    """The pruned weight of every linear of the layers, by its name in the checkpoint; `rows` `[N, T]` calibrate.

    Raises BuilderError `PATTERN_IMPOSSIBLE`, `ACTIVATIONS_NOT_FINITE`, `GRAM_SINGULAR`.
    """
    pattern = pattern_of(pruning)
    start = cast(Start, pruning.method.removeprefix("barber-").removeprefix("mask-").removesuffix("-global"))
    if start == "magnitude":
        masks = magnitude_masks(model, pattern, everywhere=pruning.method == "mask-magnitude-global")
    else:
        masks = sequential_masks(model, rows, pattern, start, progress)
    if not pruning.method.startswith("barber-"):
        return masks
    return barber_masks(model, masks, rows, pattern, BARBER[start], progress)


def pattern_of(pruning: Pruning) -> Pattern:
    """Raises BuilderError `PATTERN_IMPOSSIBLE` for N:M with another sparsity than N / M, or over a whole model."""
    if pruning.pattern == "free":
        return Pattern(pruning.sparsity)
    if pruning.sparsity != 0.5 or pruning.method == "mask-magnitude-global":
        raise BuilderError(
            "PATTERN_IMPOSSIBLE",
            f"{pruning.method} at sparsity {pruning.sparsity:g} can't keep the pattern {pruning.pattern}",
            "use sparsity 0.5 and a method that looks at one matrix at a time, or the pattern free",
        )
    return Pattern(0.5, group=int(pruning.pattern.split(":")[1]))


@torch.no_grad()
def magnitude_masks(model: DecoderModel, pattern: Pattern, *, everywhere: bool) -> dict[str, Tensor]:
    """The smallest weights of each matrix, or of the whole model, become zero. By tensor name, as all below."""
    linears = dict(_linears(model))
    if not everywhere:
        return {name: _zeroed(weight, pattern.of_matrix(weight.abs())) for name, weight in linears.items()}
    gone = lowest_of_all(list(linears.values()), pattern.sparsity)
    return {name: _zeroed(weight, mask) for (name, weight), mask in zip(linears.items(), gone, strict=True)}


@torch.no_grad()
def sequential_masks(
    model: DecoderModel, rows: Tensor, pattern: Pattern, method: Literal["wanda", "sparsegpt"], progress: Progress
) -> dict[str, Tensor]:
    """Wanda (arXiv:2306.11695: `|W| * |X_j|` within each row) or SparseGPT, first layer first.

    As published: a layer's statistics are those of the layer while it is dense, on what the pruned layers before it
    give, and every token counts alike. Raises BuilderError `PATTERN_IMPOSSIBLE`, `ACTIVATIONS_NOT_FINITE`,
    `GRAM_SINGULAR`.
    """

    def mask(weight: Tensor, gram: Tensor) -> Tensor:
        if method == "sparsegpt":
            return sparsegpt(weight, gram, pattern)
        return _zeroed(weight, pattern.of_row(weight.abs() * gram.diagonal().sqrt()))

    def through(stream: HiddenStates, index: int, layer: DecoderLayer) -> None:
        grams = layer_grams(stream, layer)
        for name, linears in stacks(layer).items():
            require_finite_inputs(grams[name].diagonal(), f"layers.{index}.{name}")
            for linear in linears:
                linear.weight.copy_(mask(linear.weight, grams[name]))
        for block in stream.blocks(layer):
            stream.go_through(block)

    return _walk(model, rows, through, progress)


@torch.no_grad()
def barber_masks(
    model: DecoderModel,
    start: dict[str, Tensor],
    rows: Tensor,
    pattern: Pattern,
    settings: BarberSettings,
    progress: Progress,
) -> dict[str, Tensor]:
    """LLM-Barber from the masks and weights of `start`. Raises BuilderError `GRAM_SINGULAR`."""

    def barber(stream: HiddenStates, index: int, layer: DecoderLayer) -> None:
        for name, linear in _named(layer):
            linear.weight.copy_(start[f"model.layers.{index}.{name}.weight"])
        dense = model.model.layers[index]
        barber_layer(stream, dense, layer, settings, pattern)

    return _walk(model, rows, barber, progress)


def _walk(
    model: DecoderModel,
    rows: Tensor,
    through: Callable[[HiddenStates, int, DecoderLayer], None],
    progress: Progress,
) -> dict[str, Tensor]:
    """`through` changes a copy of each layer. In fp32: which of two scores is higher must not hang on rounding."""
    stream = HiddenStates(model, rows, bf16=False)
    tensors: dict[str, Tensor] = {}
    for index, dense in enumerate(model.model.layers):
        layer = copy.deepcopy(dense)
        through(stream, index, layer)
        tensors |= {f"model.layers.{index}.{name}.weight": linear.weight.detach() for name, linear in _named(layer)}
        progress((index + 1) / len(model.model.layers))
    return tensors


def _named(layer: DecoderLayer) -> list[tuple[str, nn.Linear]]:
    linears = {id(linear) for stack in stacks(layer).values() for linear in stack}
    return [(name, cast(nn.Linear, module)) for name, module in layer.named_modules() if id(module) in linears]


def _linears(model: DecoderModel) -> list[tuple[str, Tensor]]:
    return [
        (f"model.layers.{index}.{name}.weight", linear.weight)
        for index, layer in enumerate(model.model.layers)
        for name, linear in _named(layer)
    ]


def _zeroed(weight: Tensor, gone: Tensor) -> Tensor:
    return weight.masked_fill(gone, 0.0)
