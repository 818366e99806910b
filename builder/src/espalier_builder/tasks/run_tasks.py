"""The dense model and its variants on the same questions.

INVARIANT: a model's answers to a task are written as soon as they are known and never computed again.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from espalier_builder.artifact.manifest import MANIFEST_FILE
from espalier_builder.artifact.read_variant import read_manifest
from espalier_builder.artifact.whole_file import write_whole
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.contracts import digest_of_file, digest_of_json
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.built_variant import load_variant
from espalier_builder.tasks.answers import Answers, ScoredTask, Task
from espalier_builder.tasks.flips import flips
from espalier_builder.tasks.score import RULES, Scorer, by_onnx, by_pytorch

Progress = Callable[[float, str], None]
Through = Literal["espalier", "lm-eval"]
DENSE = "dense"


@dataclass(frozen=True, slots=True)
class TaskRun:
    """`variants`: folders of artifacts built from `checkpoint`; `limit`: the first so many questions of each task.

    `through`: who words, encodes and judges: `tasks/score.py` by lm-eval's rule, or lm-eval.
    """

    checkpoint: Checkpoint
    model_digest: str
    variants: tuple[Path, ...]
    tasks: tuple[Path, ...]
    limit: int | None
    through: Through = "espalier"


def run_tasks(run: TaskRun, file: Path, progress: Progress) -> list[dict[str, Any]]:
    """A row for each variant, task and rule (`acc`, `acc_norm`) against the dense model; `file` keeps the answers.

    Raises BuilderError `VARIANT_INVALID`, `VARIANT_DIFFERS`, `EXTRA_MISSING`, and what `read_questions` and a task's
    `ask` raise.
    """
    tasks = _tasks(run)
    dense, *variants = subjects = [_dense(run), *(_variant(run, folder) for folder in run.variants)]
    kept = _Kept(file)
    given: dict[tuple[_Subject, Task], Answers] = {}
    for index, subject in enumerate(subjects):
        scorer: Scorer | None = None
        for task in tasks:
            key = digest_of_json([*subject.answers, task.identity])
            if key not in kept.values:
                scorer = scorer or subject.load()

                def tell(share: float, index: int = index, doing: str = f"{subject.name} on {task.name}") -> None:
                    progress((index + share) / len(subjects), doing)

                kept.add(key, task.ask(scorer, tell))
            given[subject, task] = kept.values[key]
    return [
        {
            "variant": variant.name,
            "task": task.name,
            "rule": rule,
            **flips(given[dense, task].right[rule], given[variant, task].right[rule]).to_json(),
        }
        for variant in variants
        for task in tasks
        for rule in RULES
    ]


def _tasks(run: TaskRun) -> list[Task]:
    tokenizer, context = run.checkpoint.tokenizer, run.checkpoint.model.config.max_position_embeddings
    if run.through == "espalier":
        return [ScoredTask(file, run.limit, tokenizer, context) for file in run.tasks]
    if importlib.util.find_spec("lm_eval") is None:
        raise BuilderError("EXTRA_MISSING", "lm_eval is not installed", "pip install 'espalier-builder[lm-eval]'")
    from espalier_builder.tasks.harness import HarnessTask

    return [HarnessTask(file, run.limit, tokenizer, context) for file in run.tasks]


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
    """Answers by the digest of model and questions, in a JSON file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.values: dict[str, Answers] = {}
        if file.exists():
            try:
                read = json.loads(file.read_text(encoding="utf8"))["answers"]
                self.values = {key: Answers(**value) for key, value in read.items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise BuilderError("FILE_INVALID", f"{file} holds no answers", "name another file") from error

    def add(self, key: str, answers: Answers) -> None:
        self.values[key] = answers
        document = {"answers": {key: asdict(value) for key, value in self.values.items()}}
        write_whole(self._file, json.dumps(document) + "\n")
