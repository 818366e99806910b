"""Quality of a PyTorch model against text and against the dense model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.evaluate.quality import Quality, QualityAccumulator
from espalier_builder.quantize.kv_cache import KvScales
from espalier_builder.text.windows import EvaluationWindows


class LogitsSource(Protocol):
    """Where the dense model's logits come from: `of(i)` is `[R, V]` of window i (see `DenseLogits`)."""

    def of(self, window: int) -> Tensor: ...


def evaluate_model(
    model: DecoderModel,
    windows: EvaluationWindows,
    dense_logits: LogitsSource,
    progress: Callable[[float], None] = lambda _: None,
    kv_scales: KvScales | None = None,
) -> Quality:
    """Figures over all windows, in fp32, with keys and values rounded by `kv_scales` where there are some.

    Raises what `QualityAccumulator` raises.
    """
    return model_figures(model, windows, dense_logits, progress, kv_scales).quality(text_bytes=windows.text_bytes)


@torch.inference_mode()
def model_figures(
    model: DecoderModel,
    windows: EvaluationWindows,
    dense_logits: LogitsSource,
    progress: Callable[[float], None] = lambda _: None,
    kv_scales: KvScales | None = None,
) -> QualityAccumulator:
    """What `evaluate_model` sums up, token by token."""
    accumulator = QualityAccumulator()
    for index, window in enumerate(windows.windows):
        logits = scored_logits(model, window, kv_scales)
        accumulator.add(dense_logits.of(index).to(logits.device), logits, window.targets.to(logits.device))
        progress((index + 1) / len(windows.windows))
    return accumulator


def evaluate_reference(windows: EvaluationWindows, reference: LogitsSource) -> Quality:
    """The dense model against itself: agreement 1, KL 0, and its perplexity."""
    return reference_figures(windows, reference).quality(text_bytes=windows.text_bytes)


def reference_figures(windows: EvaluationWindows, reference: LogitsSource) -> QualityAccumulator:
    """What `evaluate_reference` sums up, token by token."""
    accumulator = QualityAccumulator()
    for index, window in enumerate(windows.windows):
        logits = reference.of(index)
        accumulator.add(logits, logits, window.targets)
    return accumulator
