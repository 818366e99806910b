"""Looks at a built variant beside its dense model and writes the page about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier_builder.artifact.manifest import REPORT_FILE
from espalier_builder.artifact.read_variant import read_document, read_manifest
from espalier_builder.artifact.whole_file import write_whole
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.evaluate.generations import generations
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.onnx_evaluate.built_variant import load_variant
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
    manifest = read_manifest(request.variant, request.model_digest)
    report = read_document(request.variant / REPORT_FILE, "EvaluationReport")
    checkpoint = request.checkpoint
    variant = load_variant(request.variant, manifest, spec_of(checkpoint.model))
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
    questions = request.prompts or QUESTIONS
    answers = side_by_side(checkpoint, variant, request.documents, questions, request.answer_tokens)
    write_whole(file, page(manifest, report, removed, documents, answers, request.answer_tokens))
    on_progress("report", 1.0, "done")
    worst = documents[0] if documents else None
    return {
        "out": str(file),
        "documents": len(documents),
        "worstDocument": None if worst is None else {"opening": worst.opening, "bitsPerByteLost": worst.lost},
        "answers": {
            "dense": generations([each.dense.ids for each in answers], request.answer_tokens).to_json(),
            "variant": generations([each.variant.ids for each in answers], request.answer_tokens).to_json(),
        },
    }
