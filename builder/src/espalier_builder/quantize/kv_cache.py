"""Keys and values of the cache rounded to int8, with a scale for every channel of every key/value head.

A number is code x scale with codes -127..127; keys are rounded as they lie in the cache, after the rotary positions.
Shapes: B rows, G key/value heads, T tokens, D channels of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import BATCH_TOKENS

HIGHEST_CODE = 127
# Of the scales as they are written: the artifact's file and the figures here come from the same numbers.
_DIGITS = 6
# The scale of a channel that was 0 on all calibration text: any number would do for what it saw.
_SILENT = 1e-6


@dataclass(frozen=True, slots=True)
class KvScales:
    """Of each layer, `[G, D]` fp32, all above 0."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def cache(self) -> RoundedCache:
        """An empty cache for transformers' models of this one's sizes."""
        return RoundedCache(self)

    def to_json(self) -> dict[str, Any]:
        """The `KvCacheScales` contract."""
        layers = zip(self.keys, self.values, strict=True)
        return {
            "format": "int8",
            "layers": [{"keyScales": _written(keys), "valueScales": _written(values)} for keys, values in layers],
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> KvScales:
        def scales(name: str) -> tuple[Tensor, ...]:
            return tuple(torch.tensor(layer[name], dtype=torch.float32) for layer in value["layers"])

        return KvScales(scales("keyScales"), scales("valueScales"))


class RoundedCache(DynamicCache):
    """Gives attention the keys and values that a cache of int8 holds, those of the token itself among them."""

    def __init__(self, scales: KvScales) -> None:
        super().__init__()
        self._scales = scales

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Takes and returns `[B, G, T, D]`."""
        keys = rounded(key_states, self._scales.keys[layer_idx])
        values = rounded(value_states, self._scales.values[layer_idx])
        cached: tuple[Tensor, Tensor] = super().update(keys, values, layer_idx, *args, **kwargs)
        return cached


def rounded(states: Tensor, scales: Tensor) -> Tensor:
    """States `[B, G, T, D]` as the nearest codes stand for them, with scales `[G, D]`."""
    per_channel = scales.to(states.device)[:, None]
    return (states / per_channel).round().clamp(-HIGHEST_CODE, HIGHEST_CODE) * per_channel


@torch.inference_mode()
def calibrate_kv_cache(
    model: DecoderModel, rows: Tensor, *, bf16: bool = False, progress: Callable[[float], None] = lambda _: None
) -> KvScales:
    """Scales that reach each channel's largest magnitude on calibration `rows` `[N, T]`; one pass.

    `model` is what will run: pruned, with its weights as they were quantized. Ranges are not clipped: on SmolLM2 that
    costs more in what saturates than it gains in resolution (docs/measurements/quantizers.md).
    Raises BuilderError `ACTIVATIONS_NOT_FINITE`, naming the layer.
    """
    seen = _Magnitudes()
    batches = rows.split(max(1, BATCH_TOKENS.get() // rows.shape[1]))
    device = model.lm_head.weight.device
    for index, batch in enumerate(batches):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            model.model(input_ids=batch.to(device), past_key_values=seen, use_cache=True)
        progress((index + 1) / len(batches))
    return KvScales(*(tuple(map(_scales, part, range(len(part)))) for part in (seen.of_keys, seen.of_values)))


class _Magnitudes(DynamicCache):
    """Keeps no states, only the largest magnitude `[G, D]` of each channel by layer."""

    def __init__(self) -> None:
        super().__init__()
        self.of_keys: list[Tensor] = []
        self.of_values: list[Tensor] = []

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        for highest, states in ((self.of_keys, key_states), (self.of_values, value_states)):
            found = states.float().abs().amax((0, 2))
            if layer_idx == len(highest):
                highest.append(found)
            else:
                highest[layer_idx] = torch.maximum(highest[layer_idx], found)
        return key_states, value_states


def _scales(highest: Tensor, layer: int) -> Tensor:
    if not bool(highest.isfinite().all()):
        raise BuilderError(
            "ACTIVATIONS_NOT_FINITE",
            f"keys or values of layer {layer} hold NaN or infinity",
            "give other calibration text; if it stays, the checkpoint is damaged",
        )
    scales = (highest / HIGHEST_CODE).clamp(min=_SILENT)
    return torch.tensor(_written(scales), dtype=torch.float32)


def _written(scales: Tensor) -> list[list[float]]:
    return [[float(f"{scale:.{_DIGITS}g}") for scale in head] for head in scales.tolist()]
