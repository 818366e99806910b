"""SparseGPT (Frantar and Alistarh, arXiv:2301.00774): prunes column by column; later columns make up for each loss."""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_builder.prune.mask.pattern import Pattern, lowest_count
from espalier_builder.quantize.descent import COLUMNS
from espalier_builder.quantize.gptq import damped, inverse_factor

# The paper's; GPTQ here has a larger one of its own.
DAMPING = 0.01


def sparsegpt(weight: Tensor, gram: Tensor, mask: Pattern | Tensor, damping: float = DAMPING) -> Tensor:
    """The pruned and reconstructed weight `[R, C]`, given its inputs' Gram matrix `[C, C]`.

    `mask` says which entries go: those that it marks (`[R, C]`, bool), or as many as the pattern asks for, chosen in
    blocks of 128 columns by `w^2 / U_jj^2`, U the upper Cholesky factor of the inverse Hessian (N:M: group by group, on
    weights that earlier errors have moved). Unlike the published code, which prunes one entry too many in every block,
    the share is met to the entry. Raises BuilderError `GRAM_SINGULAR`.
    """
    pattern = mask if isinstance(mask, Pattern) else None
    upper = inverse_factor(damped(gram, damping))
    curvature = upper.diagonal().square()
    # Transposed, so that a column lies in one piece: [C, R].
    rest = weight.float().T.contiguous()
    columns, rows = rest.shape
    gone = torch.zeros_like(rest, dtype=torch.bool) if isinstance(mask, Pattern) else mask.T.contiguous()
    for start in range(0, columns, COLUMNS):
        end = min(start + COLUMNS, columns)
        if pattern is not None and pattern.group is None:
            # Counted over all columns so far, so that rounding never adds up.
            count = round(pattern.sparsity * rows * end) - round(pattern.sparsity * rows * start)
            scores = rest[start:end].square() / curvature[start:end, None]
            gone[start:end] = lowest_count(scores.reshape(1, -1), count).view_as(scores)
        errors = torch.empty_like(rest[start:end])
        for column in range(start, end):
            if pattern is not None and pattern.group is not None and column % pattern.group == 0:
                group = slice(column, column + pattern.group)
                gone[group] = pattern.of_row((rest[group].square() / curvature[group, None]).T).T
            error = torch.where(gone[column], rest[column], 0.0) / upper[column, column]
            errors[column - start] = error
            rest[column + 1 : end].addr_(upper[column, column + 1 : end], error, alpha=-1)
        rest[end:].addmm_(upper[start:end, end:].T, errors, alpha=-1)
    return rest.masked_fill_(gone, 0.0).T.contiguous()
