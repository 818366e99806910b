"""The texts of a job: what the user gave, or what the dense model writes itself where nothing was given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from espalier_builder.artifact.report import EvaluationText
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.code_version import code_version
from espalier_builder.stages.cost import StageCost
from espalier_builder.text import sample
from espalier_builder.text.read import Document, Role, interleaved, read_sliced
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.sample import sample_documents
from espalier_builder.text.windows import evaluation_windows

DOCUMENTS = "documents.json"
# Sampled documents begin like the stream that they stand for; longer ones drift.
_SAMPLED_LENGTH = 512


@dataclass(frozen=True, slots=True)
class TextSource:
    """A file or folder of text and the digest of its `FileTree`; both None where nothing was given."""

    path: Path | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class TextSettings:
    """`sequence_length`: tokens that a calibration row and an evaluation window hold, at most the model's context."""

    calibration: TextSource
    evaluation: TextSource
    calibration_tokens: int
    evaluation_tokens: int
    sequence_length: int
    seed: int


class TextInputs:
    """`notes` and `costs` collect what a reader of the figures must know of sampled texts."""

    def __init__(self, checkpoint: Checkpoint, model_digest: str, settings: TextSettings, cache: StageCache) -> None:
        self._checkpoint = checkpoint
        self._model_digest = model_digest
        self._settings = settings
        self._cache = cache
        self._length = min(settings.sequence_length, checkpoint.model.config.max_position_embeddings)
        self.notes: list[str] = []
        self.costs: list[tuple[str, StageCost]] = []

    def calibration(self) -> Tensor:
        """Rows `[N, T]`. Raises what reading, sampling and `calibration_rows` raise."""
        settings = self._settings
        documents = self._documents("calibration", settings.calibration, settings.calibration_tokens, settings.seed)
        return calibration_rows(
            self._checkpoint.tokenizer,
            [document.text for document in documents],
            length=self._length,
            tokens=settings.calibration_tokens,
            seed=settings.seed,
        )

    def evaluation(self) -> EvaluationText:
        """Windows of the evaluation text. Sampled text differs from the calibration's by its seed."""
        settings = self._settings
        documents = interleaved(
            self._documents("evaluation", settings.evaluation, settings.evaluation_tokens, settings.seed + 1)
        )
        windows = evaluation_windows(
            self._checkpoint.tokenizer,
            [document.text for document in documents],
            length=self._length,
            tokens=settings.evaluation_tokens,
            slices=[document.slice for document in documents],
        )
        return EvaluationText(windows, settings.evaluation.digest, given=settings.evaluation.path is not None)

    def _documents(self, role: Role, source: TextSource, tokens: int, seed: int) -> list[Document]:
        if source.path is not None:
            return read_sliced(source.path, role)
        self.notes.append(f"No {role} text was given: the dense model wrote it (temperature 1, seed {seed}).")
        # Sampled once more than asked, since a document's tokens decode and encode to a few more or less.
        wanted = tokens + tokens // 8 + self._length

        def make(folder: Path) -> None:
            length = min(_SAMPLED_LENGTH, self._length)
            documents = sample_documents(self._checkpoint, tokens=wanted, length=length, seed=seed)
            (folder / DOCUMENTS).write_text(json.dumps(documents), encoding="utf8")

        inputs = {"model": self._model_digest, "tokens": wanted, "length": self._length, "seed": seed}
        result = self._cache.run("sampled-text", inputs, code_version(sample), make)
        self.costs.append((f"sampled-{role}-text", result.cost))
        return [Document(text) for text in json.loads((result.folder / DOCUMENTS).read_text(encoding="utf8"))]
