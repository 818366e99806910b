"""Progress of a job as one share of the whole, told stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

# Told whenever something changed: the stage, the share of the whole job done (0..1), and what is going on.
OnProgress = Callable[[str, float, str], None]


def no_progress(stage: str, fraction: float, message: str) -> None:
    """For callers that don't care."""


class StageProgress:
    """Maps each stage's own share to the job's. `weights`: how long the stages take, roughly, in any unit."""

    def __init__(self, weights: Mapping[str, float], on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        total = sum(weights.values())
        self._ranges: dict[str, tuple[float, float]] = {}
        start = 0.0
        for stage, weight in weights.items():
            self._ranges[stage] = (start / total, weight / total)
            start += weight

    def of(self, stage: str, message: str = "") -> Callable[[float], None]:
        """The listener for a stage's own share; says at once that the stage begins."""
        start, span = self._ranges[stage]

        def tell(share: float) -> None:
            self._on_progress(stage, min(1.0, start + span * min(1.0, max(0.0, share))), message)

        tell(0.0)
        return tell


def only(stages: Sequence[tuple[str, float, bool]]) -> dict[str, float]:
    """The weights of the stages that a job has: `(name, weight, whether it runs)`."""
    return {name: weight for name, weight, runs in stages if runs}
