"""What pruning methods know of a model: activations of the dense model over calibration rows, in one forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import HiddenStates


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and variance over all tokens of each input `[F]` of one linear layer."""

    mean: Tensor
    variance: Tensor


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of N calibration rows with T tokens each, h being the hidden states around layer l.

    `ffn[l]`, `attention[l]`: of the inputs of down_proj and o_proj.
    `activation_norms[l]` `[F_l]`: `sqrt(mean over rows of sum over tokens of x_f^2)`, x the input of down_proj.
    `angles[l]`: mean over tokens of `arccos(cos(h_in, h_out)) / pi`, in 0..1. `influences[l]`: of `1 - cos`.
    `last_states` `[L + 1, N, H]`: each row's last token before the first layer and after each.
    """

    ffn: tuple[Moments, ...]
    attention: tuple[Moments, ...]
    angles: tuple[float, ...]
    influences: tuple[float, ...]
    last_states: Tensor
    rows: int
    tokens: int

    @property
    def activation_norms(self) -> tuple[Tensor, ...]:
        per_row = self.tokens / self.rows
        return tuple(((each.variance + each.mean.square()) * per_row).sqrt() for each in self.ffn)


@torch.inference_mode()
def collect_statistics(model: DecoderModel, rows: Tensor, *, bf16: bool = False) -> Statistics:
    """One pass of `rows` `[N, T]` through the dense model. Holds `[N, T, H]` fp32 twice and one batch's FFN inputs.

    Raises BuilderError `STATISTICS_NOT_FINITE` naming the layer.
    """
    stream = HiddenStates(model, rows, bf16=bf16)
    ffn: list[Moments] = []
    attention: list[Moments] = []
    cosines: list[Tensor] = []
    last = [stream.states[:, -1].clone()]
    for index, layer in enumerate(model.model.layers):
        entering = stream.states.clone()
        for block, moments in zip(stream.blocks(layer), (attention, ffn), strict=True):
            sums = _Sums(block.linear.in_features)
            for states in stream.batches():
                inner = block.inner(states)
                sums.add(inner)
                stream.add_output(states, inner, block.linear.weight, block.linear.bias)
            moments.append(sums.moments(index))
        _require_finite(stream.states, index)
        cosines.append(cosine(entering, stream.states))
        last.append(stream.states[:, -1].clone())
    return Statistics(
        ffn=tuple(ffn),
        attention=tuple(attention),
        angles=tuple(each.arccos().mean(dtype=torch.float64).item() / math.pi for each in cosines),
        influences=tuple(1 - each.mean(dtype=torch.float64).item() for each in cosines),
        last_states=torch.stack(last),
        rows=len(rows),
        tokens=rows.numel(),
    )


class _Sums:
    """Sums over tokens of the inputs `[F]` of one linear layer and of their squares, in double precision."""

    def __init__(self, size: int) -> None:
        self._sum = torch.zeros(size, dtype=torch.float64)
        self._squares = torch.zeros(size, dtype=torch.float64)
        self._tokens = 0

    def add(self, inner: Tensor) -> None:
        inner = inner.float()
        self._sum += inner.sum(0).cpu()
        self._squares += inner.square().sum(0).cpu()
        self._tokens += len(inner)

    def moments(self, layer: int) -> Moments:
        _require_finite(self._squares, layer)
        mean = self._sum / self._tokens
        return Moments(mean.float(), (self._squares / self._tokens - mean.square()).clamp(min=0).float())


def _require_finite(values: Tensor, layer: int) -> None:
    if not bool(values.isfinite().all()):
        raise BuilderError(
            "STATISTICS_NOT_FINITE",
            f"activations of layer {layer} hold NaN or infinity",
            "give other calibration text; if it stays, the checkpoint is damaged",
        )


def cosine(before: Tensor, after: Tensor) -> Tensor:
    """Of `[.., H]` states, in -1..1.

    CFSP's code leaves it unclamped: rounding beyond 1 then makes a layer's angle NaN (on SmolLM2 it does).
    """
    return torch.nn.functional.cosine_similarity(before, after, dim=-1).clamp(-1, 1)
