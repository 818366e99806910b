"""The grids of ONNX Runtime's MatMulNBits, and fitting one to weights: 4 or 8 bits, blocks along the input columns.

A weight is `(code - zeroPoint) * scale` with one scale (and, asymmetric, one zero point) per row and block. The layout
is the operator's own (com.microsoft.MatMulNBits in ONNX Runtime's docs/ContribOperators.md):
`data [rows, blocks, block * bits / 8]` with the even column in a byte's low half, `scales [rows, blocks]`,
`zero_points [rows, ceil(blocks * bits / 8)]`. R rows, C columns, B = ceil(C / K) blocks of K columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_builder.failure import BuilderError
from espalier_builder.quantize.weight_format import WeightFormat

_FITTING_ROUNDS = 2
# Shares of a block's range that a search for clipped ranges tries.
CLIPS = (1.0, 0.93, 0.86, 0.79, 0.72)


@dataclass(frozen=True, slots=True)
class QuantizedMatrix:
    """Codes are unpacked: one uint8 each."""

    weight_format: WeightFormat
    columns: int
    codes: Tensor  # [R, B, K] uint8
    scales: Tensor  # [R, B] float32
    zero_points: Tensor | None  # [R, B] uint8; None: the middle code

    def dequantize(self) -> Tensor:
        """`[R, C]` float32: the weights that the runtime multiplies with."""
        middle = 1 << (self.weight_format.bits - 1)
        zero = middle if self.zero_points is None else self.zero_points.float()[..., None]
        weights = (self.codes.float() - zero) * self.scales[..., None]
        return weights.flatten(1)[:, : self.columns]

    def packed_data(self) -> Tensor:
        """`[R, B, K * bits / 8]` uint8 as MatMulNBits reads it."""
        return self.codes if self.weight_format.bits == 8 else _pack_nibbles(self.codes)

    def packed_zero_points(self) -> Tensor | None:
        """`[R, ceil(B * bits / 8)]` uint8, or None for a symmetric grid."""
        if self.zero_points is None or self.weight_format.bits == 8:
            return self.zero_points
        return _pack_nibbles(torch.nn.functional.pad(self.zero_points, (0, self.zero_points.shape[1] % 2)))


@dataclass(frozen=True, slots=True)
class Grid:
    """`scales` and `zeros` (whole numbers), both `[R, B]` float32."""

    scales: Tensor
    zeros: Tensor

    def nearest(self, blocked: Tensor, highest: int) -> Tensor:
        """The nearest code, as float, of every weight of `[R, B, K]`."""
        return nearest_codes(blocked, reciprocal(self.scales)[..., None], self.zeros[..., None], highest)

    def of_columns(self, columns: Tensor, block_size: int) -> Grid:
        """What each of `columns` `[C]` (numbers of columns) lies on, transposed, a column in one piece: `[C, R]`."""
        block_of = columns // block_size
        return Grid(self.scales.T[block_of].contiguous(), self.zeros.T[block_of].contiguous())

    def values(self, codes: Tensor) -> Tensor:
        """The weights `[R, B, K]` that codes stand for."""
        return (codes - self.zeros[..., None]) * self.scales[..., None]


def in_blocks(weight: Tensor, weight_format: WeightFormat) -> Tensor:
    """`[R, C]` as `[R, B, K]`, the last block filled with zeros."""
    padding = weight_format.blocks(weight.shape[1]) * weight_format.block_size - weight.shape[1]
    blocked: Tensor = torch.nn.functional.pad(weight, (0, padding)).unflatten(1, (-1, weight_format.block_size))
    return blocked


def matrix_of(codes: Tensor, grid: Grid, weight_format: WeightFormat, columns: int) -> QuantizedMatrix:
    """The stored form of codes `[R, B, K]` (floats that are whole) on `grid`."""
    return QuantizedMatrix(
        weight_format=weight_format,
        columns=columns,
        codes=codes.to(torch.uint8),
        scales=grid.scales,
        zero_points=None if weight_format.symmetric else grid.zeros.to(torch.uint8),
    )


def require_finite(weight: Tensor) -> None:
    """Raises BuilderError `WEIGHTS_NOT_FINITE`."""
    if not bool(torch.isfinite(weight).all()):
        raise BuilderError(
            "WEIGHTS_NOT_FINITE",
            f"a weight matrix of shape {weight.shape[0]}x{weight.shape[1]} holds NaN or infinity",
            "check the checkpoint, or lower the sparsity if a pruned level is built",
        )


def range_grid(blocked: Tensor, weight_format: WeightFormat, clip: float = 1.0) -> Grid:
    """The grid over the share `clip` of each block's range, for weights `[R, B, K]`.

    Symmetric: the entry of largest magnitude lands on the lowest code (as in llama.cpp's q4_0): the whole range serves.
    Asymmetric: minimum and maximum, with zero among them, land on the outer codes.
    """
    if weight_format.symmetric:
        extreme = blocked.gather(-1, blocked.abs().argmax(-1, keepdim=True)).squeeze(-1) * clip
        middle = 1 << (weight_format.bits - 1)
        return Grid(extreme / -middle, torch.full_like(extreme, middle))
    low, high = blocked.amin(-1).clamp_(max=0) * clip, blocked.amax(-1).clamp_(min=0) * clip
    highest = (1 << weight_format.bits) - 1
    scales = (high - low) / highest
    return Grid(scales, (-low * reciprocal(scales)).round_().clamp_(0, highest))


def fit_grid(
    blocked: Tensor, weight_format: WeightFormat, importance: Tensor | None = None, clips: tuple[float, ...] = (1.0,)
) -> tuple[Grid, Tensor]:
    """The grid, and the codes `[R, B, K]` on it, of least squared error weighted by `importance` `[B, K]`.

    For every clipped range two rounds of least squares: the scale that fits a block's codes best, then the codes that
    fit that scale. A block keeps what it had where that isn't better.
    """
    highest = (1 << weight_format.bits) - 1
    best: tuple[Grid, Tensor, Tensor] | None = None
    for clip in clips:
        grid = range_grid(blocked, weight_format, clip)
        codes = grid.nearest(blocked, highest)
        error = _squared_error(blocked, codes, grid, importance)
        for _ in range(_FITTING_ROUNDS):
            fitted = Grid(_fitted_scales(blocked, codes, grid, importance), grid.zeros)
            fitted_codes = fitted.nearest(blocked, highest)
            fitted_error = _squared_error(blocked, fitted_codes, fitted, importance)
            grid, codes, error = _better((grid, codes, error), (fitted, fitted_codes, fitted_error))
        best = (grid, codes, error) if best is None else _better(best, (grid, codes, error))
    if best is None:
        raise ValueError("no clipped range to try")
    return best[0], best[1]


def nearest_codes(values: Tensor, inverse: Tensor, zeros: Tensor, highest: int) -> Tensor:
    """The nearest code, as float, of every value, its scale's reciprocal being `inverse`."""
    codes: Tensor = (values * inverse).round_().add_(zeros).clamp_(0, highest)
    return codes


def reciprocal(scales: Tensor) -> Tensor:
    """1 / scale, and 0 where a block is all zeros (or so small that its scale underflows to a subnormal)."""
    return torch.where(scales.abs() < torch.finfo(torch.float32).tiny, 0.0, 1.0 / scales)


def _fitted_scales(blocked: Tensor, codes: Tensor, grid: Grid, importance: Tensor | None) -> Tensor:
    steps = codes - grid.zeros[..., None]
    weighted = steps if importance is None else steps * importance
    energy = (weighted * steps).sum(-1)
    return torch.where(energy > 0, (weighted * blocked).sum(-1) * reciprocal(energy), grid.scales)


def _squared_error(blocked: Tensor, codes: Tensor, grid: Grid, importance: Tensor | None) -> Tensor:
    """Of each block, `[R, B]`."""
    squares = (grid.values(codes) - blocked).square_()
    return (squares if importance is None else squares.mul_(importance)).sum(-1)


def _better(one: tuple[Grid, Tensor, Tensor], other: tuple[Grid, Tensor, Tensor]) -> tuple[Grid, Tensor, Tensor]:
    """Block by block, the one of smaller error; of equals the first."""
    (grid, codes, error), (other_grid, other_codes, other_error) = one, other
    better = other_error < error
    return (
        Grid(torch.where(better, other_grid.scales, grid.scales), torch.where(better, other_grid.zeros, grid.zeros)),
        torch.where(better[..., None], other_codes, codes),
        torch.where(better, other_error, error),
    )


def _pack_nibbles(codes: Tensor) -> Tensor:
    return codes[..., 0::2] | (codes[..., 1::2] << 4)
