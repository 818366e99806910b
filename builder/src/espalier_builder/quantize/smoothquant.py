"""SmoothQuant (Xiao et al., arXiv:2211.10438): moves outliers from activations into weights, so that both fit int8."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.prune.decoder import HiddenStates
from espalier_builder.prune.walk import require_finite_inputs, stacks

# The paper's migration strength: as much of the difficulty goes to the weights as stays.
STRENGTH = 0.5


@torch.inference_mode()
def smoothing_scales(
    model: DecoderModel, rows: Tensor, *, bf16: bool = False, progress: Callable[[float], None] = lambda _: None
) -> dict[str, Tensor]:
    """`s_j = max|X_j|^a / max|W_j|^(1 - a)` of qkv and gate_up of every layer, over calibration `rows` `[N, T]`.

    As published only those, which read a norm; folded into it they are `scaled_copy`'s. W_j is column j of all linears
    that read the input. One pass through the dense model. Raises BuilderError `ACTIVATIONS_NOT_FINITE`.
    """
    stream = HiddenStates(model, rows, bf16=bf16)
    scales: dict[str, Tensor] = {}
    for index, layer in enumerate(model.model.layers):
        reading = ((layer.input_layernorm, "attention.qkv"), (layer.post_attention_layernorm, "ffn.gate_up"))
        for block, (norm, name) in zip(stream.blocks(layer), reading, strict=True):
            highest = _highest(norm(states).flatten(0, 1) for states in stream.batches())
            require_finite_inputs(highest, f"layers.{index}.{name}")
            scales[f"layers.{index}.{name}"] = smooth(highest, stacks(layer)[name])
            stream.go_through(block)
        progress((index + 1) / len(model.model.layers))
    return scales


def smooth(highest: Tensor, linears: list[nn.Linear], strength: float = STRENGTH) -> Tensor:
    """Scales `[C]`, for inputs whose largest magnitudes are `highest` `[C]`; 1 for an input that is always 0."""
    weights = torch.stack([linear.weight.abs().amax(0) for linear in linears]).amax(0)
    scales = highest.pow(strength) / weights.clamp(min=1e-5).pow(1 - strength)
    return torch.where(highest > 0, scales.clamp(min=1e-5), 1.0)


def _highest(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack([part.abs().amax(0).float() for part in parts]).amax(0)
