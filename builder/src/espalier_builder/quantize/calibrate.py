"""The quantizers that look at calibration text, by their names in a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import QuantizationMethod
from espalier_builder.quantize.awq import awq_scales, quantize_clipped
from espalier_builder.quantize.model import UNCALIBRATED, Matrices
from espalier_builder.quantize.scaling import Scales, scaled_copy
from espalier_builder.quantize.sequential import quantize_sequentially
from espalier_builder.quantize.smoothquant import smoothing_scales
from espalier_builder.quantize.weight_format import LinearFormats

Progress = Callable[[float], None]
UNSCALED: Scales = {}


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`matrices` are those of the model that `scaled_copy` makes with `scales`; matrices not named are rounded, to
    `formats`, which those named have too."""

    scales: Scales
    matrices: Matrices
    formats: LinearFormats

    def scaled(self, model: DecoderModel) -> DecoderModel:
        """The model that the matrices belong to: `model` itself where nothing is scaled."""
        return scaled_copy(model, self.scales) if self.scales else model


def calibrate(
    model: DecoderModel,
    rows: Tensor,
    formats: LinearFormats,
    method: QuantizationMethod,
    *,
    bf16: bool = False,
    progress: Progress = lambda _: None,
) -> Calibrated:
    """What `method` makes of `model`, which stays as it is, on calibration `rows` `[N, T]`.

    Raises BuilderError `WEIGHTS_NOT_FINITE`, `ACTIVATIONS_NOT_FINITE`, `GRAM_SINGULAR`; ValueError for a method that
    needs no text.
    """
    if method == "gptq":
        matrices = quantize_sequentially(model, rows, formats, bf16=bf16, progress=progress)
        return Calibrated(UNSCALED, matrices, formats)
    if method == "smoothquant":
        return Calibrated(smoothing_scales(model, rows, bf16=bf16, progress=progress), UNCALIBRATED, formats)
    if method not in ("awq", "awq-gptq"):
        raise ValueError(f"{method} is not calibrated")
    scales = awq_scales(model, rows, formats, bf16=bf16, progress=lambda done: progress(done / 2))
    quantize = quantize_clipped if method == "awq" else quantize_sequentially
    matrices = quantize(
        scaled_copy(model, scales), rows, formats, bf16=bf16, progress=lambda done: progress((1 + done) / 2)
    )
    return Calibrated(scales, matrices, formats)
