"""Optimal Brain Surgeon for whole inputs of a linear layer, as in ZipLM (arXiv:2302.04089) and SlimGPT."""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_builder.recover.ridge import factor

# Share of the inputs that is removed between two updates. One at a time gives a small model the same perplexity.
AT_ONCE = 1 / 64


def eliminate(weight: Tensor, inverse: Tensor, keep: int, at_once: int | None = None) -> tuple[Tensor, Tensor]:
    """Which `keep` inputs stay, ascending, and the weight on them `[H, keep]`.

    `weight` W `[H, F]`, `inverse` `[F, F]` of the damped Gram matrix of its inputs. Again and again the inputs go whose
    loss costs the output least after the others have made up for it, `sum_h W_hf^2 / inverse_ff`; the others' weights
    then make up for it, and `inverse` becomes that of the Gram matrix without them (one block of Gaussian elimination).
    Raises BuilderError `REFIT_SINGULAR`.
    """
    alive = torch.arange(weight.shape[1], device=weight.device)
    step = max(1, round(AT_ONCE * len(alive))) if at_once is None else at_once
    while len(alive) > keep:
        saliency = weight.square().sum(0) / inverse.diagonal()
        order = saliency.argsort(stable=True)
        count = min(step, len(alive) - keep)
        gone, stay = order[:count], order[count:].sort().values
        spread = torch.cholesky_solve(
            inverse[gone[:, None], stay], factor(inverse[gone[:, None], gone])
        )  # [gone, stay]
        weight = weight[:, stay] - weight[:, gone] @ spread
        inverse = inverse[stay[:, None], stay] - inverse[stay[:, None], gone] @ spread
        alive = alive[stay]
    return alive, weight
