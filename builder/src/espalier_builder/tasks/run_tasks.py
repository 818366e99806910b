"""The dense model and its variants on the same questions.

INVARIANT: a model's likelihoods on a task are written as soon as they are known and never computed again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier_builder.artifact.manifest import MANIFEST_FILE
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.contracts import digest_of_file, digest_of_json
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.page.write_page import read_document
from espalier_builder.tasks.flips import flips
from espalier_builder.tasks.questions import Question, read_questions
from espalier_builder.tasks.score import Scorer, by_onnx, by_pytorch, chosen, chosen_by_length, likelihoods

Progress = Callable[[float, str], None]
DENSE = "dense"


@dataclass(frozen=True, slots=True)
class TaskRun:
    """`variants`: folders of artifacts built from `checkpoint`; `limit`: the first so many questions of each task."""

    checkpoint: Checkpoint
    model_digest: str
    variants: tuple[Path, ...]
    tasks: tuple[Path, ...]
    limit: int | None


def run_tasks(run: TaskRun, file: Path, progress: Progress) -> list[dict[str, Any]]:
    """A row for each variant, task and rule (`acc`, `acc_norm`) against the dense model; `file` keeps the likelihoods.

    Raises BuilderError `VARIANT_INVALID`, `VARIANT_DIFFERS`, and what `read_questions` raises.
    """
    questions = {path.stem: read_questions(path, run.limit) for path in run.tasks}
    manifests = {}
    for folder in run.variants:
        manifest = read_document(folder / MANIFEST_FILE, "Manifest")
        if manifest["lineage"]["modelDigest"] != run.model_digest:
            raise BuilderError(
                "VARIANT_DIFFERS", f"{folder} was not built from this model", "name the model that it was built from"
            )
        manifests[manifest["name"]] = folder
    kept = _Kept(file)
    scores: dict[str, dict[str, list[list[float]]]] = {}
    for index, name in enumerate((DENSE, *manifests)):
        artifact = run.model_digest if name == DENSE else digest_of_file(manifests[name] / MANIFEST_FILE)
        scorer: Scorer | None = None
        for task, asked in questions.items():
            key = digest_of_json([artifact, [[each.context, list(each.choices)] for each in asked]])
            if key not in kept.values:
                if scorer is None:
                    dense = name == DENSE
                    scorer = (
                        by_pytorch(run.checkpoint.model)
                        if dense
                        else by_onnx(OnnxDecoder(manifests[name] / GRAPH_FILE))
                    )
                context = run.checkpoint.model.config.max_position_embeddings

                def tell(share: float, index: int = index, doing: str = f"{name} on {task}") -> None:
                    progress((index + share) / (1 + len(manifests)), doing)

                kept.add(key, likelihoods(scorer, run.checkpoint.tokenizer, asked, context, tell))
            scores.setdefault(name, {})[task] = kept.values[key]
    return [
        {
            "variant": name,
            "task": task,
            "rule": rule,
            **flips(right(DENSE, task, rule), right(name, task, rule)).to_json(),
        }
        for right in [_judge(scores, questions)]
        for name in manifests
        for task in questions
        for rule in ("acc", "acc_norm")
    ]


def _judge(
    scores: dict[str, dict[str, list[list[float]]]], questions: dict[str, list[Question]]
) -> Callable[[str, str, str], list[bool]]:
    def right(name: str, task: str, rule: str) -> list[bool]:
        pairs = zip(scores[name][task], questions[task], strict=True)
        if rule == "acc":
            return [chosen(values) == question.gold for values, question in pairs]
        return [chosen_by_length(values, question) == question.gold for values, question in pairs]

    return right


class _Kept:
    """Likelihoods by the digest of model and questions, in a JSON file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.values: dict[str, list[list[float]]] = {}
        if file.exists():
            try:
                self.values = dict(json.loads(file.read_text(encoding="utf8"))["likelihoods"])
            except (ValueError, KeyError, TypeError) as error:
                raise BuilderError("FILE_INVALID", f"{file} holds no likelihoods", "name another file") from error

    def add(self, key: str, values: list[list[float]]) -> None:
        self.values[key] = values
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_name(f".{self._file.name}.unfinished")
        unfinished.write_text(json.dumps({"likelihoods": self.values}) + "\n", encoding="utf8")
        unfinished.replace(self._file)
