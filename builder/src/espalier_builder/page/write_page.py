"""Looks at a built variant beside its dense model and writes the page about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier_builder.artifact.manifest import MANIFEST_FILE, REPORT_FILE
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.contracts import validate
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.page.answers import QUESTIONS, side_by_side
from espalier_builder.page.documents import quality_by_document
from espalier_builder.page.html import page
from espalier_builder.page.removed import removed_by_layer
from espalier_builder.progress import OnProgress


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`variant`: an artifact's folder. `prompts`: questions instead of ours, put by the chat template."""

    checkpoint: Checkpoint
    model_digest: str
    variant: Path
    documents: list[str]
    document_tokens: int
    sequence_length: int
    prompts: tuple[str, ...]
    answer_tokens: int


def write_page(request: PageRequest, file: Path, on_progress: OnProgress) -> dict[str, Any]:
    """Writes `file`; says what stands out. Raises BuilderError `VARIANT_INVALID`, `VARIANT_DIFFERS`."""
    manifest = read_document(request.variant / MANIFEST_FILE, "Manifest")
    report = read_document(request.variant / REPORT_FILE, "EvaluationReport")
    if manifest["lineage"]["modelDigest"] != request.model_digest:
        raise BuilderError(
            "VARIANT_DIFFERS",
            f"{request.variant} was built from {manifest['lineage']['modelDigest']}, not from {request.model_digest}",
            "name the model that it was built from",
        )
    checkpoint, variant = request.checkpoint, OnnxDecoder(request.variant / GRAPH_FILE)
    on_progress("report", 0.1, "looking for what was removed")
    removed = removed_by_layer(checkpoint.model, request.variant, manifest)
    documents = quality_by_document(
        checkpoint,
        variant,
        request.documents,
        length=min(request.sequence_length, checkpoint.model.config.max_position_embeddings),
        tokens=request.document_tokens,
        progress=lambda share: on_progress("report", 0.2 + 0.5 * share, "reading documents"),
    )
    on_progress("report", 0.7, "answering prompts")
    openings = request.documents[: len(QUESTIONS)]
    answers = side_by_side(checkpoint, variant, openings, request.prompts or QUESTIONS, request.answer_tokens)
    file.write_text(page(manifest, report, removed, documents, answers), encoding="utf8")
    on_progress("report", 1.0, "done")
    worst = documents[0] if documents else None
    return {
        "out": str(file),
        "documents": len(documents),
        "worstDocument": None if worst is None else {"opening": worst.opening, "bitsPerByteLost": worst.lost},
        "repetition": [{"dense": each.dense.repetition, "variant": each.variant.repetition} for each in answers],
    }


def read_document(path: Path, contract: str) -> dict[str, Any]:
    """A file of a built variant. Raises BuilderError `VARIANT_INVALID`."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
        validate(contract, value)
    except (OSError, ValueError, BuilderError) as error:
        raise BuilderError(
            "VARIANT_INVALID", f"{path} is no {contract} ({error})", "name the folder that `build` has written"
        ) from error
    return value
