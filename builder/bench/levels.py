"""Levels of one model as benches judge them: pruned, and stored on a quantizer's grid."""

from __future__ import annotations

from pathlib import Path

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.device import choose_device, on_device
from espalier_builder.method_name import parse_method
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from quantized import Quantizer
from stages import stages_of


class Levels:
    """Of the model in `path`, calibrated on 16 rows of 1,024 tokens of `text`; stages are kept in `cache`."""

    def __init__(self, path: Path, text: Path, cache: Path) -> None:
        stages = StageCache(cache)
        self.checkpoint = on_device(load_cached(path, stages), choose_device("auto"))
        documents = read_documents(text, "calibration")
        self._rows = calibration_rows(self.checkpoint.tokenizer, documents, length=1024, tokens=16 * 1024, seed=0)
        self._stages = stages_of(path, self.checkpoint.model, stages)

    def pruned(self, method: str, share: float) -> DecoderModel:
        """By its name in `compare`, or `none`."""
        if method == "none":
            return self.checkpoint.model
        return self._stages.pruned(parse_method(method, share, 32), self._stages.calibration(self._rows, seed=0)).model

    def stored(self, method: str, share: float, grid: str) -> DecoderModel:
        """`pruned`, computing with the weights as `grid` stores them."""
        return Quantizer(self.pruned(method, share), self._rows, self._rows[:0]).make(grid).model
