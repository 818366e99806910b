"""A model as its quantized variant computes it: every quantized matrix replaced by its de-quantized values."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.prune.walk import stacks
from espalier_builder.quantize.grid import QuantizedMatrix
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import VariantFormats, WeightFormat

# Calibrated matrices by their name in the exported file, e.g. `layers.0.attention.qkv`.
Matrices = Mapping[str, QuantizedMatrix]
# What rounds every matrix by itself.
UNCALIBRATED: Matrices = {}


@torch.no_grad()
def dequantized(model: DecoderModel, formats: VariantFormats, matrices: Matrices = UNCALIBRATED) -> DecoderModel:
    """A copy of `model` (fp32) with the weights of the variant in these formats; `model` is untouched.

    Matrices that aren't in `matrices` are rounded. A tied pair of embedding and head stays tied.
    Raises BuilderError `WEIGHTS_NOT_FINITE`.
    """
    result = copy.deepcopy(model)
    if formats.linear.main.quantized:
        for place, linears in places(result).items():
            write_back(matrices.get(place) or quantize_rtn(stacked(linears), formats.linear.of(place)), linears)
    embedding, head = result.model.embed_tokens.weight, result.lm_head.weight
    _round_in_place(embedding, formats.embedding)
    if head is not embedding:
        _round_in_place(head, formats.embedding)
    return result


def places(model: DecoderModel) -> dict[str, list[nn.Linear]]:
    """The linears of all layers, those that read the same input together, by their matrix's name in the export."""
    return {
        f"layers.{index}.{name}": linears
        for index, layer in enumerate(model.model.layers)
        for name, linears in stacks(layer).items()
    }


def stacked(linears: list[nn.Linear]) -> Tensor:
    """Weights `[sum of outputs, inputs]` of linears that read the same input."""
    weights: list[Tensor] = [linear.weight for linear in linears]
    return torch.cat(weights)


def write_back(matrix: QuantizedMatrix, linears: list[nn.Linear]) -> None:
    """Give the linears the de-quantized values of the matrix that they were stacked into."""
    parts = matrix.dequantize().split([linear.out_features for linear in linears])
    for linear, part in zip(linears, parts, strict=True):
        linear.weight.copy_(part)


def _round_in_place(weight: Tensor, weight_format: WeightFormat) -> None:
    if weight_format.quantized:
        weight.copy_(quantize_rtn(weight, weight_format).dequantize())
