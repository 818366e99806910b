"""Quality document by document: where a variant lost most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.evaluate.quality import QualityAccumulator
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.text.windows import evaluation_windows


@dataclass(frozen=True, slots=True)
class DocumentQuality:
    """`opening`: its first characters. Bits per byte of both, and how often the variant's first choice is the dense
    model's."""

    opening: str
    tokens: int
    dense_bits_per_byte: float
    bits_per_byte: float
    agreement: float

    @property
    def lost(self) -> float:
        return self.bits_per_byte - self.dense_bits_per_byte


def quality_by_document(
    checkpoint: Checkpoint,
    variant: OnnxDecoder,
    documents: list[str],
    *,
    length: int,
    tokens: int,
    progress: Callable[[float], None],
) -> list[DocumentQuality]:
    """The first `length` tokens of each document until `tokens` are scored; those that lost most come first."""
    found: list[DocumentQuality] = []
    scored = 0
    for document in documents:
        if scored >= tokens:
            break
        try:
            windows = evaluation_windows(checkpoint.tokenizer, [document], length=length, tokens=length)
        except BuilderError as error:
            if error.code != "TEXT_TOO_SHORT":
                raise
            continue
        dense, own = QualityAccumulator(), QualityAccumulator()
        for window in windows.windows:
            expected = scored_logits(checkpoint.model, window).cpu()
            logits = torch.from_numpy(variant.logits(window.inputs.tolist(), window.positions.tolist()))
            dense.add(expected, expected, window.targets)
            own.add(expected, logits, window.targets)
        scored += windows.tokens
        before, after = (each.quality(text_bytes=windows.text_bytes) for each in (dense, own))
        found.append(
            DocumentQuality(
                opening=" ".join(document.split())[:120],
                tokens=windows.tokens,
                dense_bits_per_byte=before.bits_per_byte,
                bits_per_byte=after.bits_per_byte,
                agreement=after.agreement,
            )
        )
        progress(min(1.0, scored / tokens))
    return sorted(found, key=lambda each: each.lost, reverse=True)
