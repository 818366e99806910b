"""Calibrated quantization of a whole decoder, first layer first, on the stream that the quantized layers produce."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import HiddenStates
from espalier_builder.prune.walk import Dense, walk_layer
from espalier_builder.quantize.gptq import quantize_gptq
from espalier_builder.quantize.grid import QuantizedMatrix
from espalier_builder.quantize.model import stacked, write_back
from espalier_builder.quantize.weight_format import LinearFormats


@torch.inference_mode()
def quantize_sequentially(
    model: DecoderModel,
    rows: Tensor,
    formats: LinearFormats,
    *,
    bf16: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[str, QuantizedMatrix]:
    """Every matrix of the layers by GPTQ on calibration `rows` `[N, T]`, by its name in the exported file.

    Sequential as GPTQ is; besides, o_proj and down_proj are first solved again for the dense model's stream (as `obs`
    does, in the line of GPTAQ, arXiv:2504.02692), so that they make good what the matrices before them lost.
    `model` is untouched. Holds `[N, T, H]` fp32 twice, a copy of one layer, one matrix's inputs and their Gram matrix.
    Raises BuilderError `WEIGHTS_NOT_FINITE`, `GRAM_SINGULAR`, naming the matrix.
    """
    stream, wanted = HiddenStates(model, rows, bf16=bf16), HiddenStates(model, rows, bf16=bf16)
    matrices: dict[str, QuantizedMatrix] = {}
    for index, dense in enumerate(model.model.layers):

        def quantize(name: str, linears: list[nn.Linear], gram: Tensor, index: int = index) -> None:
            place = f"layers.{index}.{name}"
            try:
                matrix = quantize_gptq(stacked(linears), gram, formats.of(place))
            except BuilderError as error:
                raise error.within(place) from error
            matrices[place] = matrix
            write_back(matrix, linears)

        walk_layer(stream, copy.deepcopy(dense), quantize, Dense(wanted, dense))
        progress((index + 1) / len(model.model.layers))
    return matrices
