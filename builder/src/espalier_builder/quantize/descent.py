"""Codes moved one column at a time to where they lose least, the others as they are.

Cyclic coordinate descent on what GPTQ left, in the line of CDQuant (Nair and Suggala, arXiv:2406.17542). GPTQ decides
on a column before it knows what the later ones will be rounded to; here all others are known. R rows, C columns, in
blocks of K columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_builder.quantize.grid import Grid, nearest_codes, reciprocal
from espalier_builder.quantize.weight_format import WeightFormat

# Columns that are handled among themselves before what they change reaches the rest in one product.
COLUMNS = 128


def descend(weight: Tensor, codes: Tensor, hessian: Tensor, grid: Grid, weight_format: WeightFormat) -> Tensor:
    """Codes `[R, C]`, as float, after one sweep over the columns from `codes`, each set to the nearest code of where
    `(w - q) H (w - q)^T` of its row is least.

    No row's error grows. A weight that is exactly zero (pruned) keeps the zero point's code. `hessian` `[C, C]` has a
    positive diagonal.
    """
    highest = (1 << weight_format.bits) - 1
    # Transposed, so that a column lies in one piece: [C, R] each.
    columns = grid.of_columns(torch.arange(len(hessian), device=weight.device), weight_format.block_size)
    scales, zeros, inverse = columns.scales, columns.zeros, reciprocal(columns.scales)
    wanted, found = weight.T.contiguous(), codes.T.contiguous()
    values = (found - zeros) * scales
    pull = hessian @ (wanted - values)  # [C, R]: half the error's slope, downwards
    pruned = wanted == 0
    for start in range(0, len(found), COLUMNS):
        end = min(start + COLUMNS, len(found))
        changes = torch.empty_like(found[start:end])
        for column in range(start, end):
            best = values[column] + pull[column] / hessian[column, column]
            code = nearest_codes(best, inverse[column], zeros[column], highest)
            code = torch.where(pruned[column], zeros[column], code)
            change = (code - zeros[column]).mul_(scales[column]).sub_(values[column])
            found[column], changes[column - start] = code, change
            pull[column + 1 : end].addr_(hessian[column, column + 1 : end], change, alpha=-1)
        pull[end:].addmm_(hessian[end:, start:end], changes, alpha=-1)
    return found.T.contiguous()
