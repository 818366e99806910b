"""What pruning methods know of a model: activations of the dense model over calibration rows, in one forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import HiddenStates


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of N calibration rows with T tokens each.

    `activation_norms[l]` `[F_l]`: `sqrt(mean over rows of sum over tokens of x_f^2)`, x the input of down_proj.
    `angles[l]`: mean over tokens of `arccos(cos(h_in, h_out)) / pi`, h the hidden states around layer l, in 0..1.
    """

    activation_norms: tuple[Tensor, ...]
    angles: tuple[float, ...]
    tokens: int


@torch.inference_mode()
def collect_statistics(model: LlamaForCausalLM, rows: Tensor, *, bf16: bool = False) -> Statistics:
    """One pass of `rows` `[N, T]` through the dense model. Holds `[N, T, H]` fp32 twice and one batch's FFN inputs.

    Raises BuilderError `STATISTICS_NOT_FINITE` naming the layer.
    """
    stream = HiddenStates(model, rows, bf16=bf16)
    norms: list[Tensor] = []
    angles: list[float] = []
    for index, layer in enumerate(model.model.layers):
        entering = stream.states.clone()
        stream.attend(layer)
        squares = torch.zeros(layer.mlp.down_proj.in_features, device=rows.device)
        for states in stream.batches():
            inner = stream.ffn_inner(layer, states)
            squares += inner.float().square().sum(0)
            stream.add_ffn(layer, states, inner)
        if not bool(squares.isfinite().all()):
            raise BuilderError(
                "STATISTICS_NOT_FINITE",
                f"activations of layer {index} hold NaN or infinity",
                "give other calibration text; if it stays, the checkpoint is damaged",
            )
        norms.append((squares / len(rows)).sqrt())
        angles.append(mean_angle(entering, stream.states))
    return Statistics(activation_norms=tuple(norms), angles=tuple(angles), tokens=rows.numel())


def mean_angle(before: Tensor, after: Tensor) -> float:
    """Mean over tokens of the angle between `[.., H]` states, as a share of pi.

    CFSP's code leaves the cosine unclamped: rounding beyond 1 then makes a layer's angle NaN (on SmolLM2 it does).
    """
    cosine = torch.nn.functional.cosine_similarity(before, after, dim=-1).clamp(-1, 1)
    return cosine.arccos().mean(dtype=torch.float64).item() / math.pi
