"""The dense model's logits, computed once per (model, windows) and read by every evaluation against them.

fp32 in a memory-mapped file: 2,048 tokens of a 49,152 vocabulary are 403 MB and come from the page cache in a fraction
of a second, while computing them again costs each candidate a forward pass; half precision would drown KL at 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.text.windows import EvaluationWindows

FILE = "logits.npy"


class DenseLogits:
    """Logits `[R, V]` fp32 by window, read off the folder that `write_dense_logits` filled."""

    def __init__(self, folder: Path, windows: EvaluationWindows) -> None:
        # Copy-on-write, since torch has no read-only tensors; nobody writes.
        self._rows = np.load(folder / FILE, mmap_mode="c")
        ends = np.cumsum([len(window.targets) for window in windows.windows])
        self._ranges = [
            (int(end) - len(window.targets), int(end)) for window, end in zip(windows.windows, ends, strict=True)
        ]

    def of(self, window: int) -> Tensor:
        start, end = self._ranges[window]
        return torch.from_numpy(self._rows[start:end])


@torch.inference_mode()
def write_dense_logits(
    model: DecoderModel,
    windows: EvaluationWindows,
    folder: Path,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Fill `folder` for `DenseLogits`: `4 * tokens * V` bytes."""
    rows = np.lib.format.open_memmap(
        folder / FILE, mode="w+", dtype=np.float32, shape=(windows.tokens, model.config.vocab_size)
    )
    start = 0
    for index, window in enumerate(windows.windows):
        logits = scored_logits(model, window)
        rows[start : start + len(logits)] = logits.cpu().numpy()
        start += len(logits)
        progress((index + 1) / len(windows.windows))
    rows.flush()
