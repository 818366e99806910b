"""Quantization-aware training on exactly the grid that is exported, towards the dense model.

Weights are rounded in every forward pass and gradients go straight through (Bengio et al., arXiv:1308.3432); scales
learn with them (LSQ, Esser et al., arXiv:1902.08153). Shapes: R rows, B blocks of K columns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.failure import BuilderError
from espalier_builder.quantize.grid import Grid, QuantizedMatrix, in_blocks, matrix_of
from espalier_builder.quantize.model import places
from espalier_builder.recover.finetune import Point, Schedule, divergence, train

# In codes a step: what Adam moves a weight by at most, whatever the model's size and the tensor's scale.
CODES_PER_STEP = 0.03
# Likewise of a scale, as a share of itself.
SCALE_PER_STEP = 0.001
SCHEDULE = Schedule(steps=120, batch_rows=4, check_every=20, patience=3)


class Codes(nn.Module):
    """The part of a quantized matrix that belongs to one linear layer, as a parametrization of that layer's weight.

    `position` `[R, B, K]`, real: rounded and clamped it is the code. `stretch` `[R, B]`: the scale's relative change.
    """

    def __init__(self, matrix: QuantizedMatrix, rows: slice, dense: Tensor) -> None:
        super().__init__()
        self._columns = matrix.columns
        self._highest = (1 << matrix.weight_format.bits) - 1
        middle = torch.full_like(matrix.scales, 1 << (matrix.weight_format.bits - 1))
        zeros = middle if matrix.zero_points is None else matrix.zero_points.float()
        device = dense.device
        # Clones: what was made in inference mode can't take part in a backward pass.
        self.grid = Grid(matrix.scales[rows].to(device).clone(), zeros[rows].to(device).clone())
        codes = matrix.codes[rows].float().to(device)
        # In the middle of the calibrated codes, not where the dense weights lie: those that GPTQ rounded the other way
        # on purpose would fall back at once.
        self.position = nn.Parameter(codes)
        self.stretch = nn.Parameter(torch.zeros_like(self.grid.scales))
        self._fixed = (in_blocks(dense, matrix.weight_format) == 0) & (codes == self.grid.zeros[..., None])

    def codes(self) -> Tensor:
        """Whole numbers `[R, B, K]`; the gradient passes where the position lies within the grid. Zeros of pruning and
        padding stay."""
        clamped = self.position.clamp(0, self._highest)
        rounded = clamped + (clamped.round() - clamped).detach()
        return torch.where(self._fixed, self.grid.zeros[..., None], rounded)

    def scales(self) -> Tensor:
        return self.grid.scales * (1 + self.stretch)

    def forward(self, _original: Tensor) -> Tensor:
        return Grid(self.scales(), self.grid.zeros).values(self.codes()).flatten(1)[:, : self._columns]


def train_quantized(
    model: DecoderModel,
    teacher: DecoderModel,
    start: Mapping[str, QuantizedMatrix],
    rows: Tensor,
    *,
    schedule: Schedule | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[dict[str, QuantizedMatrix], tuple[Point, ...]]:
    """`start`, matrices of `model`, with codes and scales trained towards `teacher`'s logits on `rows` `[N, T]`.

    Zero points stay. An eighth of the rows is held out, and the codes that were best on it are kept, those of `start`
    included; the curve is the divergence there. Holds the model twice, its gradients and Adam's two moments.
    Raises BuilderError `TEXT_TOO_SHORT` for fewer than two rows.
    """
    if len(rows) < 2:
        raise BuilderError("TEXT_TOO_SHORT", "training needs two rows of text or more", "give more calibration tokens")
    student = copy.deepcopy(model)
    parts: dict[str, list[Codes]] = {}
    originals = places(model)
    for place, linears in places(student).items():
        parts[place] = _parametrized(linears, originals[place], start[place])
    judged = max(1, len(rows) // 8)
    everything = [part for each in parts.values() for part in each]
    curve = train(
        [
            {"params": [part.position for part in everything], "lr": CODES_PER_STEP},
            {"params": [part.stretch for part in everything], "lr": SCALE_PER_STEP},
        ],
        loss=lambda batch: divergence(student, teacher, batch),
        judge=lambda: _judge(student, teacher, rows[-judged:]),
        rows=rows[:-judged],
        settings=schedule or SCHEDULE,
        progress=progress,
    )
    return {place: _matrix(start[place], each) for place, each in parts.items()}, curve


def _parametrized(linears: list[nn.Linear], dense: list[nn.Linear], matrix: QuantizedMatrix) -> list[Codes]:
    parts, first = [], 0
    for linear, original in zip(linears, dense, strict=True):
        rows = slice(first, first + linear.out_features)
        parts.append(Codes(matrix, rows, original.weight))
        parametrize.register_parametrization(linear, "weight", parts[-1], unsafe=True)
        first = rows.stop
    return parts


@torch.inference_mode()
def _judge(student: DecoderModel, teacher: DecoderModel, rows: Tensor) -> float:
    return torch.stack([divergence(student, teacher, row[None]) for row in rows]).mean().item()


@torch.inference_mode()
def _matrix(start: QuantizedMatrix, parts: list[Codes]) -> QuantizedMatrix:
    codes = torch.cat([part.codes() for part in parts])
    grid = Grid(torch.cat([part.scales() for part in parts]), torch.cat([part.grid.zeros for part in parts]))
    return matrix_of(codes, grid, start.weight_format, start.columns)
