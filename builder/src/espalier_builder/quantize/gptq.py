"""GPTQ (Frantar et al., arXiv:2210.17323): rounds column by column, and what a column loses the later ones make up for.

Shapes: R rows, C columns, B blocks of K columns; T tokens. X `[T, C]` are a matrix's inputs on calibration text, and
`gram` = `X^T X` `[C, C]`. All in fp32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_builder.failure import BuilderError
from espalier_builder.quantize.descent import COLUMNS, descend
from espalier_builder.quantize.grid import (
    CLIPS,
    Grid,
    QuantizedMatrix,
    fit_grid,
    in_blocks,
    matrix_of,
    nearest_codes,
    reciprocal,
    require_finite,
)
from espalier_builder.quantize.weight_format import WeightFormat

# The paper's is 0.01.
DAMPING = 0.05
# Turns of coordinate descent.
SWEEPS = 2


def quantize_gptq(
    weight: Tensor, gram: Tensor, weight_format: WeightFormat, damping: float = DAMPING
) -> QuantizedMatrix:
    """Quantizes `weight` `[R, C]` so that `|X (W - Q)^T|` is small, with `gram` = `X^T X`.

    Act-order with static groups: grids are fitted to the dense weights first, each error weighted by its column's
    share of `gram`; then columns are rounded in descending order of that share. Then the scales are solved again by
    least squares on the full Gram matrix, which the codes now differ enough from the nearest ones to gain from, and the
    codes by coordinate descent for these scales, in turns.
    The paper (and its code) recompute a group's scales on error-updated weights instead, which act-order rules out.
    Raises BuilderError `WEIGHTS_NOT_FINITE`, `GRAM_SINGULAR`.
    """
    require_finite(weight)
    weight = weight.float()
    hessian = damped(gram, damping)
    grid, _ = fit_grid(in_blocks(weight, weight_format), weight_format, _importance(hessian, weight_format), CLIPS)
    # Padding must stay an exact zero, so it holds the zero point's code.
    outside = in_blocks(torch.ones_like(weight[:1]), weight_format) == 0
    product = weight @ hessian

    def blocked(codes: Tensor) -> Tensor:
        return torch.where(outside, grid.zeros[..., None], in_blocks(codes, weight_format))

    def solved(codes: Tensor) -> Grid:
        return Grid(solve_scales(product, blocked(codes), hessian, grid, weight_format), grid.zeros)

    codes = assign_codes(weight, hessian, grid, weight_format)
    grid = solved(codes)
    for _ in range(SWEEPS):
        codes = descend(weight, codes, hessian, grid, weight_format)
        grid = solved(codes)
    return matrix_of(blocked(codes), grid, weight_format, weight.shape[1])


def damped(gram: Tensor, damping: float) -> Tensor:
    """A copy of `gram` with `damping` times its mean diagonal added to the diagonal; 1 where no input ever fired."""
    hessian = gram.clone()
    diagonal = hessian.diagonal()
    diagonal.add_(damping * diagonal.mean())
    if not bool((diagonal > 0).all()):
        diagonal[diagonal <= 0] = 1.0
    return hessian


def inverse_factor(hessian: Tensor) -> Tensor:
    """The upper Cholesky factor U of the inverse: `H^-1 = U^T U`. Raises BuilderError `GRAM_SINGULAR`."""
    lower, failed = torch.linalg.cholesky_ex(hessian)
    if int(failed) == 0:
        upper: Tensor
        upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
        if int(failed) == 0:
            return upper
    raise BuilderError(
        "GRAM_SINGULAR",
        "the calibration statistics of a matrix are not positive definite",
        "give more calibration tokens, or quantize with rtn",
    )


def assign_codes(weight: Tensor, hessian: Tensor, grid: Grid, weight_format: WeightFormat) -> Tensor:
    """Codes `[R, C]`, as float, of `weight` `[R, C]` on a fixed grid. A weight that is exactly zero (pruned) stays."""
    highest = (1 << weight_format.bits) - 1
    order = hessian.diagonal().argsort(descending=True, stable=True)
    upper = inverse_factor(hessian[order][:, order])
    # Transposed, so that a column lies in one piece: [C, R] each.
    rest = weight.T[order].contiguous()
    columns = grid.of_columns(order, weight_format.block_size)
    scales, zeros, inverse = columns.scales, columns.zeros, reciprocal(columns.scales)
    pruned = rest == 0
    codes = torch.empty_like(rest)
    for start in range(0, len(rest), COLUMNS):
        end = min(start + COLUMNS, len(rest))
        errors = torch.empty_like(rest[start:end])
        for column in range(start, end):
            value = rest[column]
            code = nearest_codes(value, inverse[column], zeros[column], highest)
            code = torch.where(pruned[column], zeros[column], code)
            error = value.sub((code - zeros[column]).mul_(scales[column])).div_(upper[column, column])
            codes[column], errors[column - start] = code, error
            rest[column + 1 : end].addr_(upper[column, column + 1 : end], error, alpha=-1)
        rest[end:].addmm_(upper[start:end, end:].T, errors, alpha=-1)
    unordered = torch.empty_like(codes)
    unordered[order] = codes
    return unordered.T.contiguous()


def solve_scales(product: Tensor, codes: Tensor, hessian: Tensor, grid: Grid, weight_format: WeightFormat) -> Tensor:
    """Scales `[R, B]` of least error `(w - q) H (w - q)^T` for each row, the codes `[R, B, K]` being fixed.

    `product` `[R, C]` is `W H`, which is the same for all codes.
    A row keeps the scales that it had where the solution is not finite or turns a sign.
    """
    size, columns = weight_format.block_size, product.shape[1]
    steps = codes - grid.zeros[..., None]  # [R, B, K]
    blocks = steps.shape[1]
    normal = torch.empty(len(steps), blocks, blocks, device=product.device)
    for block in range(blocks):
        start, end = block * size, min((block + 1) * size, columns)
        of_block = steps[:, block, : end - start] @ hessian[start:end]  # [R, C]
        normal[:, block] = (in_blocks(of_block, weight_format) * steps).sum(-1)
    right = (in_blocks(product, weight_format) * steps).sum(-1)  # [R, B]
    # Blocks of zeros have no scale to solve for.
    diagonal = normal.diagonal(dim1=1, dim2=2)
    diagonal.add_(1e-6 * diagonal.mean(-1, keepdim=True)).clamp_(min=torch.finfo(torch.float32).tiny)
    solved, _ = torch.linalg.solve_ex(normal, right)
    usable = (solved.isfinite() & (solved * grid.scales >= 0)).all(-1, keepdim=True)
    return torch.where(usable, solved, grid.scales)


def _importance(hessian: Tensor, weight_format: WeightFormat) -> Tensor:
    """The diagonal as `[B, K]`, with mean 1."""
    diagonal = hessian.diagonal()
    return in_blocks((diagonal / diagonal.mean())[None], weight_format)[0]
