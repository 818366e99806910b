"""What one build is asked, and what it has to tell: progress while it runs, and what grows into its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from espalier_builder.artifact.report import EvaluationText, ReportRow
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.contracts import MixedBits, Recipe
from espalier_builder.evaluate.dense_logits import DenseLogits
from espalier_builder.progress import OnProgress, StageProgress, only
from espalier_builder.stages.cost import StageCost, measure_cost
from espalier_builder.text_inputs import TextSettings

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """`model_digest` names what `checkpoint` was read from."""

    checkpoint: Checkpoint
    model_digest: str
    recipe: Recipe
    text: TextSettings


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What every figure of a build is taken on, and what the dense model gives there."""

    text: EvaluationText
    reference: DenseLogits


class BuildLog:
    """`rows`, `notes` and `costs` are filled stage after stage, in the order in which a report has them."""

    def __init__(self, request: BuildRequest, on_progress: OnProgress) -> None:
        self.rows: list[ReportRow] = []
        self.notes: list[str] = list(request.checkpoint.notes)
        self.costs: list[tuple[str, StageCost]] = []
        self._progress = StageProgress(_stages(request.recipe), on_progress)

    def begin(self, stage: str, doing: str) -> Callable[[float], None]:
        """The listener for the share of the stage that is done; says at once that it begins."""
        return self._progress.of(stage, doing)

    def measured(self, stage: str, work: Callable[[], Result]) -> Result:
        """What `work` returns; what it costs is listed under `stage`."""
        with measure_cost() as meter:
            result = work()
        self.costs.append((stage, meter.cost))
        return result


def calibrates(recipe: Recipe) -> bool:
    """Whether its quantizer looks at text."""
    return recipe.quantization.method not in ("none", "rtn") or isinstance(recipe.quantization.bits, MixedBits)


def _stages(recipe: Recipe) -> dict[str, float]:
    """The stages that `recipe` needs, by how long they take."""
    prunes, quantizes = recipe.pruning.method != "none", recipe.quantization.method != "none"
    rounds_cache = recipe.kv_cache is not None
    return only(
        [
            ("text", 1, True),
            ("dense", 6, True),
            ("prune", 10, prunes),
            ("evaluate-pruned", 5, prunes),
            ("quantize", 20, calibrates(recipe)),
            ("kv-cache", 8, rounds_cache),
            ("evaluate-quantized", 6, quantizes or rounds_cache),
            ("export", 2, True),
            ("accuracy-level", 4, quantizes),
            ("evaluate-exported", 5, True),
            ("probe", 4, True),
            ("manifest", 1, True),
        ]
    )
