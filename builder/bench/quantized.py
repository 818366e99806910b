"""Models as a quantizer's grid stores them, by its name in docs/measurements/quantizers.md."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import MixedBits, Quantization
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.prune.precision import calibrates_in_bf16
from espalier_builder.quantize.calibrate import UNSCALED, Calibrated, calibrate
from espalier_builder.quantize.kv_cache import KvScales, calibrate_kv_cache
from espalier_builder.quantize.mixed import measure_sensitivity, mixed_formats
from espalier_builder.quantize.model import UNCALIBRATED, dequantized
from espalier_builder.quantize.qat import train_quantized
from espalier_builder.quantize.weight_format import LinearFormats, linear_format, variant_formats
from espalier_builder.recover.finetune import Point
from espalier_builder.text.windows import Window


@dataclass(frozen=True, slots=True)
class Made:
    """`model` computes with the weights as they are stored; `kv_scales` None: keys and values are not rounded.

    `curve`: of training, where there was any.
    """

    model: DecoderModel
    formats: LinearFormats
    kv_scales: KvScales | None
    curve: tuple[Point, ...]

    def perplexity(self, windows: tuple[Window, ...]) -> float:
        return perplexity(self.model, windows, self.kv_scales)


def perplexity(model: DecoderModel, windows: tuple[Window, ...], kv_scales: KvScales | None = None) -> float:
    """Over all scored tokens of the windows, in fp32; with scales the cache holds what int8 holds."""
    nll, tokens = 0.0, 0
    for window in windows:
        logits = scored_logits(model, window, kv_scales)
        targets = window.targets.to(logits.device)
        nll += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").double().item()
        tokens += len(window.targets)
    return math.exp(nll / tokens)


class Quantizer:
    """Makes grids (`gptq-q4b128a`, `gptq-q5mb128a-kv8`, or `dense`) of one model on calibration `rows` `[N, T]`.

    Scales of the cache also see `controls` `[n, T]`, rows with control tokens.
    """

    def __init__(self, model: DecoderModel, rows: Tensor, controls: Tensor) -> None:
        self._model = model
        self._rows = rows
        self._controls = controls
        # Of the matrices, by the narrow format: the same for all averages.
        self._sensitivity: dict[str, dict[str, float]] = {}

    def make(self, grid: str) -> Made:
        quantization = parse(grid.removesuffix("-kv8"))
        formats = self._formats(quantization)
        model, curve = self._weights(quantization, formats)
        if not grid.endswith("-kv8"):
            return Made(model, formats, None, curve)
        rows = torch.cat([self._rows, self._controls])
        return Made(model, formats, calibrate_kv_cache(model, rows, bf16=calibrates_in_bf16(model.device)), curve)

    def _formats(self, quantization: Quantization) -> LinearFormats:
        narrow = linear_format(quantization)
        if not isinstance(quantization.bits, MixedBits):
            return narrow
        if narrow.key not in self._sensitivity:
            self._sensitivity[narrow.key] = measure_sensitivity(self._model, self._rows, narrow)
        return mixed_formats(self._model, self._sensitivity[narrow.key], narrow, quantization.bits.average)

    def _weights(self, quantization: Quantization, formats: LinearFormats) -> tuple[DecoderModel, tuple[Point, ...]]:
        model, method = self._model, quantization.method
        curve: tuple[Point, ...] = ()
        if method == "none":
            return model, curve
        made = Calibrated(UNSCALED, UNCALIBRATED, formats)
        if method != "rtn":
            by_text = "gptq" if method == "qat" else method
            made = calibrate(model, self._rows, formats, by_text, bf16=calibrates_in_bf16(model.device))
        if method == "qat":
            matrices, curve = train_quantized(model, model, made.matrices, self._rows)
            made = replace(made, matrices=matrices)
        stored = variant_formats(formats, model.config.hidden_size)
        return dequantized(made.scaled(model), stored, made.matrices), curve


def parse(grid: str) -> Quantization:
    if grid == "dense":
        return Quantization()
    found = re.fullmatch(r"(.+)-q([48]|[\d.]+m)b(32|64|128|256)(a?)", grid)
    if found is None:
        raise ValueError(f"{grid!r} is no grid")
    method, bits, block, asymmetric = found.groups()
    width = {"mixed": float(bits[:-1])} if bits.endswith("m") else int(bits)
    fields = {"method": method, "bits": width, "blockSize": int(block), "symmetric": not asymmetric}
    return Quantization.from_json(fields | {"accuracyLevel": 4})
