"""Quality of the exported files in ONNX Runtime: the figures that count, because these files ship."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from espalier_builder.evaluate.model import LogitsSource
from espalier_builder.evaluate.quality import PairedFigures, Quality, QualityAccumulator
from espalier_builder.evaluate.slices import SlicedQuality, slice_qualities
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.text.windows import EvaluationWindows


@dataclass(frozen=True, slots=True)
class ExportedFigures:
    """`slices` in the order of the text's."""

    quality: Quality
    paired: PairedFigures
    slices: list[SlicedQuality]


def evaluate_exported(
    variant: OnnxDecoder,
    windows: EvaluationWindows,
    dense_logits: LogitsSource,
    progress: Callable[[float], None] = lambda _: None,
) -> ExportedFigures:
    """Figures over all windows against the dense model's logits. Raises what `QualityAccumulator` raises."""
    accumulator, dense = QualityAccumulator(), QualityAccumulator()
    for index, window in enumerate(windows.windows):
        logits = torch.from_numpy(variant.logits(window.inputs.tolist(), window.positions.tolist()))
        accumulator.add(dense_logits.of(index), logits, window.targets)
        if windows.slices:
            dense.add(dense_logits.of(index), dense_logits.of(index), window.targets)
        progress((index + 1) / len(windows.windows))
    slices = slice_qualities(windows, dense, accumulator)
    return ExportedFigures(accumulator.quality(text_bytes=windows.text_bytes), accumulator.paired(), slices)


@dataclass(frozen=True, slots=True)
class LevelAgreement:
    """How a graph at accuracy level 4 compares with the same weights at level 0: KL(level 0 || level 4) in nats."""

    agreement: float
    kl: float
    positions: int


def level_agreement(level_0: OnnxDecoder, level_4: OnnxDecoder, windows: EvaluationWindows) -> LevelAgreement:
    """Compares the two over `windows`; a few hundred positions tell a broken kernel from rounding noise."""
    accumulator = QualityAccumulator()
    for window in windows.windows:
        tokens, positions = window.inputs.tolist(), window.positions.tolist()
        exact = torch.from_numpy(level_0.logits(tokens, positions))
        accumulator.add(exact, torch.from_numpy(level_4.logits(tokens, positions)), window.targets)
    quality = accumulator.quality(text_bytes=max(1, windows.text_bytes))
    return LevelAgreement(agreement=quality.agreement, kl=quality.kl, positions=accumulator.tokens)
