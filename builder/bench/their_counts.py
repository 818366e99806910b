"""Masks with as many zeros as the published code makes: an entry more in every matrix than the share asks for.

No share asked of `espalier-builder compare` gives that in matrices of several sizes at once, and one entry a matrix
moves LLM-Barber at 70 % by 3 %.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from espalier_builder.artifact.whole_file import write_whole
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.evaluate.model import evaluate_model
from espalier_builder.prune.apply import cut_out
from espalier_builder.prune.cut import whole
from espalier_builder.prune.mask.choose import BARBER, barber_masks, magnitude_masks
from espalier_builder.prune.mask.pattern import Pattern, lowest_count
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.stages.dense_stages import digest_of_rows
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import document_windows
from measurements import engine_of
from stages import stages_of

THEIRS = ", as many zeros as theirs"
MAGNITUDE_MASKS = ("mask-magnitude", "barber-magnitude")


class OneMore(Pattern):
    """The share rounded down, and one entry more."""

    def of_matrix(self, scores: Tensor) -> Tensor:
        flat = scores.reshape(1, -1)
        return lowest_count(flat, math.floor(self.sparsity * flat.shape[1] + 1e-6) + 1).view_as(scores)


def measure_their_counts(
    path: Path, texts: tuple[Path, Path], tokens: int, shares: tuple[float, ...], file: Path, cache: StageCache
) -> None:
    """Adds to the table that `espalier-builder compare` left in `file` the magnitude masks and LLM-Barber's from them,
    at each of `shares`, on the model in `path`, calibrated on `tokens` of the first text, judged by the second."""
    table = json.loads(file.read_text(encoding="utf8"))
    done = {(row["method"], row["sparsity"]) for row in table["rows"]}
    missing = [share for share in shares if ("barber-magnitude" + THEIRS, share) not in done]
    if not missing:
        return
    checkpoint = load_cached(path, cache)
    length = checkpoint.model.config.max_position_embeddings
    calibration, evaluation = (
        read_documents(text, role) for text, role in zip(texts, ("calibration", "evaluation"), strict=True)
    )
    rows = calibration_rows(checkpoint.tokenizer, calibration, length=length, tokens=tokens, seed=0)
    if digest_of_rows(rows) != table["protocol"]["calibrationDigest"]:
        sys.exit(f"{file} was calibrated on other rows")
    windows = document_windows(checkpoint.tokenizer, evaluation, length=length)
    reference = stages_of(path, checkpoint.model, cache).dense_logits(windows)
    for share in missing:
        for method, tensors in zip(MAGNITUDE_MASKS, masks(checkpoint.model, rows, share), strict=True):
            masked = cut_out(checkpoint.model, replace(whole(checkpoint.model), tensors=tensors))
            row: dict[str, Any] = {"method": method + THEIRS, "sparsity": share}
            row |= {"achievedSparsity": masked.achieved_sparsity, "engine": engine_of(masked.model.device)}
            table["rows"].append(row | evaluate_model(masked.model, windows, reference).to_json())
    write_whole(file, json.dumps(table, indent=1) + "\n")


def masks(model: DecoderModel, rows: Tensor, share: float) -> Iterator[dict[str, Tensor]]:
    """By each of `MAGNITUDE_MASKS`."""
    start = magnitude_masks(model, OneMore(share), everywhere=False)
    yield start
    yield barber_masks(model, start, rows, Pattern(share), BARBER["magnitude"], lambda _: None)
