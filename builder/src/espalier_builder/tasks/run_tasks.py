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
from espalier_builder.artifact.read_variant import read_manifest
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.contracts import digest_of_file, digest_of_json
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.built_variant import load_variant
from espalier_builder.tasks.flips import flips
from espalier_builder.tasks.questions import read_questions
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
    dense, *variants = subjects = [_dense(run), *(_variant(run, folder) for folder in run.variants)]
    kept = _Kept(file)
    right: dict[tuple[_Subject, str, str], list[bool]] = {}
    for index, subject in enumerate(subjects):
        scorer: Scorer | None = None
        for task, asked in questions.items():
            key = digest_of_json([*subject.answers, [[each.context, list(each.choices)] for each in asked]])
            if key not in kept.values:
                scorer = scorer or subject.load()
                context = run.checkpoint.model.config.max_position_embeddings

                def tell(share: float, index: int = index, doing: str = f"{subject.name} on {task}") -> None:
                    progress((index + share) / len(subjects), doing)

                kept.add(key, likelihoods(scorer, run.checkpoint.tokenizer, asked, context, tell))
            pairs = list(zip(kept.values[key], asked, strict=True))
            right[subject, task, "acc"] = [chosen(values) == each.gold for values, each in pairs]
            right[subject, task, "acc_norm"] = [chosen_by_length(values, each) == each.gold for values, each in pairs]
    return [
        {
            "variant": variant.name,
            "task": task,
            "rule": rule,
            **flips(right[dense, task, rule], right[variant, task, rule]).to_json(),
        }
        for variant in variants
        for task in questions
        for rule in ("acc", "acc_norm")
    ]


@dataclass(frozen=True, slots=True)
class _Subject:
    """Who is asked. `answers`: what its answers follow from; `load` takes seconds."""

    name: str
    answers: tuple[str, ...]
    load: Callable[[], Scorer]


def _dense(run: TaskRun) -> _Subject:
    return _Subject(DENSE, (run.model_digest,), lambda: by_pytorch(run.checkpoint.model))


def _variant(run: TaskRun, folder: Path) -> _Subject:
    manifest, sizes = read_manifest(folder, run.model_digest), spec_of(run.checkpoint.model)
    # Beside the artifact, since earlier builders kept what it answers without the rounding.
    rounding = [manifest["kvCache"]] if "kvCache" in manifest else []
    return _Subject(
        manifest["name"],
        (digest_of_file(folder / MANIFEST_FILE), *rounding),
        lambda: by_onnx(load_variant(folder, manifest, sizes)),
    )


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
