"""What every stage of a dense model has in common, and the stage that needs nothing else: its logits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import digest_of_bytes, digest_of_json
from espalier_builder.evaluate import dense_logits
from espalier_builder.evaluate.dense_logits import DenseLogits, write_dense_logits
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.code_version import code_version
from espalier_builder.stages.cost import StageCost
from espalier_builder.text.windows import EvaluationWindows

Progress = Callable[[float], None]
TENSORS = "tensors.safetensors"
FACTS = "facts.json"


@dataclass(frozen=True, slots=True)
class DenseModel:
    """`digest` names the bytes that the model was read from."""

    model: DecoderModel
    digest: str


class DenseStages:
    """Stages of one dense model; `costs` collects what those that ran, or were served, cost."""

    def __init__(self, cache: StageCache, dense: DenseModel) -> None:
        self._cache = cache
        self._dense = dense
        self.costs: list[tuple[str, StageCost]] = []

    def _run(
        self, stage: str, inputs: dict[str, Any], code: tuple[ModuleType, ...], make: Callable[[Path], None]
    ) -> Path:
        """The folder that `make(folder)` fills from the dense model and `inputs`, now or earlier.

        `code`: the modules that `make` calls, and those that made what it is given; see `code_version`.
        """
        whole = inputs | {"model": self._dense.digest, "make": inspect.getsource(make)}
        result = self._cache.run(stage, whole, code_version(*code), make)
        self.costs.append((stage, result.cost))
        return result.folder

    def dense_logits(self, windows: EvaluationWindows, progress: Progress = lambda _: None) -> DenseLogits:
        """The dense model's logits on `windows` (stage `dense-logits`)."""
        ids = [digest_of_rows(window.inputs) + digest_of_rows(window.positions) for window in windows.windows]
        inputs = {"windows": digest_of_json(ids)}
        folder = self._run(
            "dense-logits",
            inputs,
            (dense_logits,),
            lambda folder: write_dense_logits(self._dense.model, windows, folder, progress),
        )
        return DenseLogits(folder, windows)


def digest_of_rows(rows: Tensor) -> str:
    """The content address of token ids and their shape."""
    return digest_of_json([list(rows.shape), digest_of_bytes(rows.contiguous().numpy().tobytes())])
