"""Ridge regression of a linear layer's weight on the Gram matrix of its inputs.

Shapes: T tokens, H outputs, F dense and S kept inputs; X `[T, F]` the inputs, W `[H, F]` the weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_builder.failure import BuilderError

# Ridge at one token an input. With 16,384 tokens it shrinks correlations between SmolLM2's 1,536 neurons by half.
RIDGE = 10.0
# Share of the mean diagonal that is always added, for inputs that hardly ever fire.
_LEAST_RIDGE = 1e-4
# Rows of a Gram matrix computed at once: its lower triangle needs no computing, in steps of this.
PANEL = 256


def correct(weight: Tensor, damped: Tensor, missing: Tensor) -> Tensor:
    """`W + (missing^T damped^-1)`: the weight that adds to the block's output what the stream lacks.

    `missing` `[F, H]` is X^T times the wanted addition, `damped` `[F, F]` is X^T X with the ridge on its diagonal.
    Raises BuilderError `REFIT_SINGULAR`.
    """
    return weight + torch.cholesky_solve(missing, factor(damped)).T


def solve(weight: Tensor, damped: Tensor, kept: Tensor) -> Tensor:
    """`W' [H, S]`, the weight on the inputs `kept` that comes closest to the output `X W^T` of all.

    Minimises `|X_S W'^T - X W^T|^2 + |(W' - W_S) D|^2`, with `damped` = `X^T X + D^2` `[F, F]`, D diagonal. The ridge
    pulls towards the weights that were, not to zero: directions that calibration didn't see keep the dense weights.
    Raises BuilderError `REFIT_SINGULAR`.
    """
    removed = complement(kept, weight.shape[1])
    contributed = damped[kept[:, None], removed] @ weight[:, removed].T  # [S, H], what the removed inputs gave
    return weight[:, kept] + torch.cholesky_solve(contributed, factor(damped[kept[:, None], kept])).T


def with_ridge(gram: Tensor, tokens: int, ridge: float = RIDGE) -> Tensor:
    """`gram` `[F, F]` of `tokens` tokens, `ridge * F / tokens` times its own diagonal added: a weight is held where it
    was by its own input's energy.

    Neurons differ in energy by orders of magnitude. A ridge that is the same for all (a share of the mean) leaves the
    loud ones free to fit what is chance in the calibration text; shrinking correlations treats all alike. How much of a
    correlation is chance goes with inputs per token, as in Ledoit and Wolf's shrinkage of covariances (2004).
    Where no input ever fired (a layer that gives nothing) all weights are held alike.
    """
    result = gram.clone()
    diagonal = result.diagonal()
    diagonal.mul_(1 + ridge * len(gram) / tokens)
    least = _LEAST_RIDGE * diagonal.mean()
    diagonal.add_(torch.where(least == 0, 1.0, least))
    return result


def factor(damped: Tensor) -> Tensor:
    """The Cholesky factor. Raises BuilderError `REFIT_SINGULAR`."""
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(damped)
    if int(failed) != 0:
        raise BuilderError(
            "REFIT_SINGULAR",
            "the calibration statistics of a layer are not positive definite",
            "give more calibration tokens, or prune without refit",
        )
    return lower


def trust(states: Tensor) -> Tensor:
    """Weight `[T, 1]` of each token's error: 1, less for tokens whose state `[T, H]` is longer than the median.

    A few tokens (the first of a row, above all) carry states a hundred times as long as others', and what is added to
    them counts relative to that. Unweighted, they would be all that a least-squares correction sees.
    """
    squares = states.float().square().sum(1, keepdim=True)
    return (squares.median() / squares.clamp(min=1e-12)).clamp(max=1)


def add_gram(gram: Tensor, inner: Tensor) -> None:
    """Add `X_S^T X` of inputs `[T, F]`, kept ones first, to `gram` `[S, F]`: its upper panels only."""
    for start in range(0, len(gram), PANEL):
        end = min(start + PANEL, len(gram))
        gram[start:end, start:] += inner[:, start:end].T @ inner[:, start:]


def mirror(gram: Tensor) -> None:
    """Fill what `add_gram` left out: `X_S^T X_S` is symmetric."""
    for start in range(0, len(gram), PANEL):
        end = min(start + PANEL, len(gram))
        gram[end:, start:end] = gram[start:end, end : len(gram)].T


def complement(kept: Tensor, width: int) -> Tensor:
    """The inputs of 0..width-1 that aren't kept, ascending."""
    gone = torch.ones(width, dtype=torch.bool, device=kept.device)
    gone[kept] = False
    return gone.nonzero().flatten()
