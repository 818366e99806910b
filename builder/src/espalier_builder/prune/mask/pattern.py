"""Where zeros may lie: anywhere, or N of every M consecutive inputs of an output (N:M)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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


def lowest_of_all(weights: Sequence[Tensor], share: float) -> Iterator[Tensor]:
    """Masks of the smallest magnitudes, `share` of all entries of all matrices together, as `lowest` would mark them.

    Holds one matrix's magnitudes at a time, where sorting would hold those of the model with their indices. Magnitudes
    order as their bits do, so the largest that goes is found bit by bit, in 31 passes.
    """
    count = math.floor(share * sum(weight.numel() for weight in weights) + 1e-6)
    highest = 0
    for bit in reversed(range(31)):
        # Are the magnitudes below the one with this bit too few?
        tried = highest | 1 << bit
        if sum(int((_bits(weight) < tried).sum()) for weight in weights) < count:
            highest = tried
    left = count - sum(int((_bits(weight) < highest).sum()) for weight in weights)
    for weight in weights:
        bits = _bits(weight)
        equal = bits == highest
        yield (bits < highest) | (equal & (equal.flatten().cumsum(0).view_as(equal) <= left))
        left = max(0, left - int(equal.sum()))


def _bits(weight: Tensor) -> Tensor:
    return weight.float().abs().view(torch.int32)


def lowest_count(scores: Tensor, count: int) -> Tensor:
    """As `lowest`, for a number of entries."""
    mask = torch.zeros_like(scores, dtype=torch.bool)
    mask.scatter_(1, scores.argsort(dim=1, stable=True)[:, :count], True)
    return mask
