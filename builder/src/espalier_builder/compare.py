"""Several pruning methods on one model, one calibration set and one evaluation set, with floors to beat.

INVARIANT: a row is written as soon as it is measured, and what is written is never measured again: a run that was
killed goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espalier_builder.artifact.whole_file import write_whole
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import all_parameters
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import MASK_METHODS, Pruning, digest_of_json
from espalier_builder.evaluate.model import evaluate_model, evaluate_reference
from espalier_builder.evaluate.quality import Quality
from espalier_builder.failure import BuilderError
from espalier_builder.method_name import parse_method
from espalier_builder.prune.precision import in_fp32_only
from espalier_builder.recover.finetune import FineTuning
from espalier_builder.recover.recover_job import fills_mask, fine_tune_by_importance
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.cost import measure_cost
from espalier_builder.stages.dense_stages import DenseModel, digest_of_rows
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text.windows import EvaluationWindows

FLOORS = ("random", "magnitude")
Row = dict[str, Any]
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Recovery:
    """Training after every pruning, the floors' too, towards the dense model where `settings` say so. `training` and
    `held_out`: rows `[N, T]` of different documents."""

    settings: FineTuning
    training: Tensor
    held_out: Tensor

    def to_json(self) -> dict[str, Any]:
        return asdict(self.settings) | {
            "trainingDigest": digest_of_rows(self.training),
            "heldOutDigest": digest_of_rows(self.held_out),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared on what. `rows` `[N, T]` calibrate; `model_digest` names what `checkpoint` was read from."""

    checkpoint: Checkpoint
    model_digest: str
    methods: tuple[str, ...]
    sparsities: tuple[float, ...]
    alignment: int
    rows: Tensor
    seed: int
    windows: EvaluationWindows
    recovery: Recovery | None = None

    def protocol(self) -> dict[str, Any]:
        """By what the figures were taken: rows of another protocol don't belong into the same table."""
        return {
            "model": self.model_digest,
            "calibrationRows": list(self.rows.shape),
            "calibrationDigest": digest_of_rows(self.rows),
            "seed": self.seed,
            "alignment": self.alignment,
            "evaluationTokens": self.windows.tokens,
            "evaluationDigest": digest_of_json([digest_of_rows(window.inputs) for window in self.windows.windows]),
            "sequenceLength": self.windows.length,
            "precision": "fp32",
        } | self._unusual()

    def _unusual(self) -> dict[str, Any]:
        """What only tables of comparisons that do so say."""
        fp32 = {"calibrationPrecision": "fp32"} if in_fp32_only() else {}
        return fp32 if self.recovery is None else fp32 | {"recovery": self.recovery.to_json()}


def compare(
    comparison: Comparison, cache: StageCache, file: Path, progress: Progress = lambda _share, _doing: None
) -> dict[str, Any]:
    """Fills `file` with a row for the dense model and for each method, `random` and `magnitude` included, at each
    sparsity; returns its content. A method that can't be applied gets a row with `error`.

    Raises BuilderError `METHOD_UNKNOWN`, `COMPARISON_DIFFERS` where the file holds rows of another protocol.
    """
    names = tuple(dict.fromkeys((*comparison.methods, *FLOORS)))
    asked = [(name, sparsity) for sparsity in comparison.sparsities for name in names]
    prunings = [parse_method(name, sparsity, comparison.alignment) for name, sparsity in asked]
    table = _read(file, comparison)
    done = {(row["method"], row["sparsity"]) for row in table["rows"]}
    missing = [(name, pruning) for (name, _), pruning in zip(asked, prunings, strict=True)]
    missing = [(name, pruning) for name, pruning in missing if (name, pruning.sparsity) not in done]
    if not missing and ("dense", 0.0) in done:
        return table
    model = comparison.checkpoint.model
    stages = ModelStages(cache, DenseModel(model, comparison.model_digest))
    progress(0.0, "evaluating the dense model")
    reference = stages.dense_logits(comparison.windows)
    if ("dense", 0.0) not in done:
        quality = evaluate_reference(comparison.windows, reference)
        _, cost = stages.costs[-1]
        dense: Row = {"method": "dense", "sparsity": 0.0, "achievedSparsity": 0.0} | _figures(model, quality)
        # Nothing is pruned; the memory is what evaluating takes.
        _add(table, file, dense | {"seconds": 0.0, "peakMemoryBytes": cost.peak_memory_bytes})
    calibration = stages.calibration(comparison.rows, comparison.seed)
    for index, (name, pruning) in enumerate(missing):
        progress(index / len(missing), f"{name} at {pruning.sparsity:g}")
        row: Row = {"method": name, "sparsity": pruning.sparsity}
        try:
            pruned = stages.pruned(pruning, calibration)
            _, cost = stages.costs[-1]
            level, trained = pruned.model, Row()
            if comparison.recovery is not None:
                level, trained = _recovered(pruned.model, pruning, model, comparison.recovery)
            quality = evaluate_model(level, comparison.windows, reference)
        except BuilderError as error:
            _add(table, file, row | {"error": f"{error.code}: {error}"})
            continue
        spent = {"seconds": round(cost.seconds, 1), "peakMemoryBytes": cost.peak_memory_bytes}
        figures = _figures(level, quality) | trained | spent
        _add(table, file, row | {"achievedSparsity": pruned.achieved_sparsity} | figures)
    progress(1.0, "done")
    return table


def _recovered(
    pruned: DecoderModel, pruning: Pruning, dense: DecoderModel, recovery: Recovery
) -> tuple[DecoderModel, Row]:
    """Raises BuilderError `RECOVERY_FILLS_MASK`, and what `fine_tune` raises."""
    if pruning.method in MASK_METHODS:
        raise fills_mask(pruning.method, "compare masks without --recovery")
    with measure_cost() as meter:
        found = fine_tune_by_importance(pruned, dense, recovery.training, recovery.held_out, recovery.settings)
    losses = [point.held_out_loss for point in found.curve]
    return found.model, {
        "trainedParameters": found.trained,
        "heldOutLoss": {"before": losses[0], "after": min(losses)},
        "recoverySeconds": round(meter.cost.seconds, 1),
        "recoveryPeakMemoryBytes": meter.cost.peak_memory_bytes,
    }


def _figures(model: DecoderModel, quality: Quality) -> Row:
    on_gpu = model.device.type == "cuda"
    engine = f"pytorch {torch.__version__}" + (f", {torch.cuda.get_device_name()}" if on_gpu else "")
    return {"parameters": all_parameters(model)} | quality.to_json() | {"engine": engine}


def _read(file: Path, comparison: Comparison) -> dict[str, Any]:
    protocol = comparison.protocol()
    if not file.exists():
        return {"protocol": protocol, "rows": []}
    try:
        table: dict[str, Any] = json.loads(file.read_text(encoding="utf8"))
        written = table["protocol"]
        differing = sorted(key for key in protocol.keys() | written.keys() if protocol.get(key) != written.get(key))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuilderError("FILE_INVALID", f"{file} is no comparison ({error})", "name another file") from error
    if differing:
        raise BuilderError(
            "COMPARISON_DIFFERS",
            f"{file} holds rows taken by another protocol (different: {', '.join(differing)})",
            "name another file",
        )
    return table


def _add(table: dict[str, Any], file: Path, row: Row) -> None:
    table["rows"].append(row)
    write_whole(file, json.dumps(table, indent=1) + "\n")
