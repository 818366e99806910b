"""Optimal Brain Surgeon for whole inputs of a linear layer, as in ZipLM (arXiv:2302.04089) and SlimGPT."""

from __future__ import annotations

import torch
from torch import Tensor

# Inputs removed between two updates. On a model of a million parameters one at a time gives the same perplexity.
AT_ONCE = 8


def eliminate(weight: Tensor, inverse: Tensor, keep: int, at_once: int = AT_ONCE) -> tuple[Tensor, Tensor]:
    """Which `keep` inputs stay, ascending, and the weight on them `[H, keep]`.

    `weight` W `[H, F]`, `inverse` `[F, F]` of the damped Gram matrix of its inputs. Again and again the inputs go whose
    loss costs the output least after the others have made up for it, `sum_h W_hf^2 / inverse_ff`; the others' weights
    then make up for it, and `inverse` becomes that of the Gram matrix without them (one block of Gaussian elimination).
    """
    alive = torch.arange(weight.shape[1], device=weight.device)
    while len(alive) > keep:
        saliency = weight.square().sum(0) / inverse.diagonal()
        order = saliency.argsort(stable=True)
        gone, stay = order[: min(at_once, len(alive) - keep)], order[min(at_once, len(alive) - keep) :].sort().values
        lower = torch.linalg.cholesky(inverse[gone[:, None], gone])
        spread = torch.cholesky_solve(inverse[gone[:, None], stay], lower)  # [gone, stay]
        weight = weight[:, stay] - weight[:, gone] @ spread
        inverse = inverse[stay[:, None], stay] - inverse[stay[:, None], gone] @ spread
        alive = alive[stay]
    return alive, weight
