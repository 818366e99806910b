"""Models as a quantizer's grid stores them, by its name in docs/measurements/quantizers.md."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import MixedBits, Quantization
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.prune.precision import bf16_is_fast
from espalier_builder.quantize.calibrate import UNSCALED, Calibrated, calibrate
from espalier_builder.quantize.kv_cache import KvScales, calibrate_kv_cache, rounded
from espalier_builder.quantize.mixed import measure_sensitivity, mixed_formats
from espalier_builder.quantize.model import UNCALIBRATED, dequantized
from espalier_builder.quantize.qat import train_quantized
from espalier_builder.quantize.weight_format import LinearFormats, linear_format, variant_formats
from espalier_builder.text.windows import Window

# Of a channel's largest magnitude, that `-clipped` chooses from.
SHARES = tuple(tenths / 10 for tenths in range(10, 2, -1))


@dataclass(frozen=True, slots=True)
class Made:
    """`model` computes with the weights as they are stored; `kv_scales` None: keys and values are not rounded."""

    model: DecoderModel
    formats: LinearFormats
    kv_scales: KvScales | None

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

    `-kv8-text`: its scales see none of the `controls` `[n, T]`, rows with control tokens. `-kv8-clipped`: ranges are
    those of least squared error instead of the largest magnitude.
    """

    def __init__(self, model: DecoderModel, rows: Tensor, controls: Tensor) -> None:
        self._model = model
        self._rows = rows
        self._controls = controls
        # Of the matrices, by the narrow format: the same for all averages.
        self._sensitivity: dict[str, dict[str, float]] = {}

    def make(self, grid: str) -> Made:
        name, cached, rule = grid.partition("-kv8")
        quantization = parse(name)
        formats = self._formats(quantization)
        model = self._weights(quantization, formats)
        if not cached:
            return Made(model, formats, None)
        rows = self._rows if rule == "-text" else torch.cat([self._rows, self._controls])
        scales = calibrate_kv_cache(model, rows, bf16=bf16_is_fast())
        return Made(model, formats, clipped(model, rows, scales) if rule == "-clipped" else scales)

    def _formats(self, quantization: Quantization) -> LinearFormats:
        narrow = linear_format(quantization)
        if not isinstance(quantization.bits, MixedBits):
            return narrow
        if narrow.key not in self._sensitivity:
            self._sensitivity[narrow.key] = measure_sensitivity(self._model, self._rows, narrow)
        return mixed_formats(self._model, self._sensitivity[narrow.key], narrow, quantization.bits.average)

    def _weights(self, quantization: Quantization, formats: LinearFormats) -> DecoderModel:
        model, method = self._model, quantization.method
        if method == "none":
            return model
        made = Calibrated(UNSCALED, UNCALIBRATED, formats)
        if method != "rtn":
            by_text = "gptq" if method == "qat" else method
            made = calibrate(model, self._rows, formats, by_text, bf16=bf16_is_fast())
        if method == "qat":
            made = replace(made, matrices=train_quantized(model, model, made.matrices, self._rows)[0])
        return dequantized(made.scaled(model), variant_formats(formats, model.config.hidden_size), made.matrices)


@torch.inference_mode()
def clipped(model: DecoderModel, rows: Tensor, scales: KvScales) -> KvScales:
    """`scales` of the largest magnitudes, each times the share of least squared error on the same rows."""
    errors = ClippingErrors(scales)
    for row in rows:
        model.model(input_ids=row[None].to(model.device), past_key_values=errors, use_cache=True)
    keys, values = (
        tuple(scale * torch.tensor(SHARES)[error.argmin(0).cpu()] for scale, error in zip(part, of_part, strict=True))
        for part, of_part in ((scales.keys, errors.of_keys), (scales.values, errors.of_values))
    )
    return KvScales(keys, values)


class ClippingErrors(DynamicCache):
    """Sums squared errors `[shares, heads, channels]` by layer, and keeps no states."""

    def __init__(self, scales: KvScales) -> None:
        super().__init__()
        self._scales = scales
        self.of_keys = [torch.zeros(())] * len(scales.keys)
        self.of_values = [torch.zeros(())] * len(scales.keys)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        for sums, scales, states in (
            (self.of_keys, self._scales.keys, key_states),
            (self.of_values, self._scales.values, value_states),
        ):
            tried = [rounded(states, share * scales[layer_idx]) - states for share in SHARES]
            found = torch.stack([error.square().sum((0, 2)) for error in tried])
            sums[layer_idx] = sums[layer_idx].to(found.device) + found
        return key_states, value_states


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
