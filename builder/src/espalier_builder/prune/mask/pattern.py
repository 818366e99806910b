"""Where zeros may lie: anywhere, or N of every M consecutive inputs of an output (N:M)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from espalier_builder.failure import BuilderError


@dataclass(frozen=True, slots=True)
class Pattern:
    """The share `sparsity` of a matrix is zero; with `group` set, that share of every `group` consecutive inputs."""

    sparsity: float
    group: int | None = None

    def of_row(self, scores: Tensor) -> Tensor:
        """Which entries of `scores` `[R, C]` go: the lowest of each row, or of each group of M."""
        return lowest(self._grouped(scores), self.sparsity).view_as(scores)

    def of_matrix(self, scores: Tensor) -> Tensor:
        """Which entries of `scores` `[R, C]` go: the lowest of the matrix, or of each group of M."""
        if self.group is not None:
            return self.of_row(scores)
        return lowest(scores.reshape(1, -1), self.sparsity).view_as(scores)

    def _grouped(self, scores: Tensor) -> Tensor:
        if self.group is None:
            return scores
        if scores.shape[1] % self.group != 0:
            raise BuilderError(
                "PATTERN_IMPOSSIBLE",
                f"a matrix with {scores.shape[1]} inputs can't be cut into groups of {self.group}",
                "prune without an N:M pattern",
            )
        return scores.reshape(-1, self.group)


def lowest(scores: Tensor, share: float) -> Tensor:
    """A mask of the lowest `share` of each row of `[G, n]`, rounded down to whole entries; of equals the first."""
    return lowest_count(scores, math.floor(share * scores.shape[1] + 1e-6))


def lowest_count(scores: Tensor, count: int) -> Tensor:
    """As `lowest`, for a number of entries."""
    mask = torch.zeros_like(scores, dtype=torch.bool)
    mask.scatter_(1, scores.argsort(dim=1, stable=True)[:, :count], True)
    return mask
