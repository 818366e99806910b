"""Iterative pruning: prune a step, train, evaluate, next step, until the target or a quality floor.

INVARIANT: a step's folder appears only when its checkpoint and record are complete, and a finished step is never done
again: a run that was killed goes on with the step that it was in.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from espalier_builder.artifact.whole_folder import whole_folder
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import non_embedding_parameters
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.checkpoint.folder import load_folder, read_json
from espalier_builder.checkpoint.save import save
from espalier_builder.contracts import MASK_METHODS, digest_of_json
from espalier_builder.failure import BuilderError
from espalier_builder.method_name import parse_method
from espalier_builder.progress import OnProgress
from espalier_builder.prune.apply import prune
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.recover.finetune import FineTuning, fine_tune, held_out_loss
from espalier_builder.recover.recover_job import fills_mask, layer_importance, refuse_masked, split_rows
from espalier_builder.stages.dense_stages import digest_of_rows

RECORD = "iteration.json"
# What each step is pruned on.
CALIBRATION_ROWS = 64


@dataclass(frozen=True, slots=True)
class Iteration:
    """`sparsity`: the target, of the dense model's non-embedding parameters. `worst_ratio`: of held-out perplexity to
    the dense model's; the last step that keeps it is the result. `cubic` removes most in the first steps."""

    method: str
    sparsity: float
    steps: int
    schedule: Literal["linear", "cubic"]
    worst_ratio: float
    alignment: int
    training: FineTuning


def step_sparsity(settings: Iteration, step: int) -> float:
    """The share removed after `step` of `settings.steps` (cubic: arXiv:1710.01878)."""
    left = 1 - step / settings.steps
    return settings.sparsity * (1 - (left**3 if settings.schedule == "cubic" else left))


def iterate(
    dense: Checkpoint,
    model_digest: str,
    documents: list[str],
    settings: Iteration,
    row_length: int,
    folder: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Fills `folder` with a checkpoint folder a step and returns their records. `model_digest` names what `dense` was
    read from.

    Recovery is as `settings.training` says, with `dense` as the teacher where it distils.

    Raises BuilderError `RECOVERY_FILLS_MASK` for a mask, `ITERATION_DIFFERS` where `folder` holds steps of another
    model, text or settings, and what pruning and training raise.
    """
    if parse_method(settings.method, settings.sparsity, settings.alignment).method in MASK_METHODS:
        raise fills_mask(settings.method, "iterate over a method that removes neurons, heads or layers")
    refuse_masked(dense)
    training, held_out = split_rows(dense, documents, settings.training, row_length)
    asked = digest_of_json([model_digest, repr(settings), digest_of_rows(training), digest_of_rows(held_out)])
    floor = held_out_loss(dense.model, held_out)
    current, records = dense, list[dict[str, Any]]()
    for step in range(1, settings.steps + 1):
        out = folder / f"step-{step}"
        on_progress("iterate", (step - 1) / settings.steps, f"step {step} of {settings.steps}")
        if not out.exists():
            recovered, record = _one_step(dense, current, training, held_out, settings, step)
            record = {"asked": asked, "perplexityRatio": math.exp(record["loss"] - floor)} | record
            with whole_folder(out) as work:
                save(replace(dense, model=recovered), work)
                (work / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf8")
        record = read_json(out / RECORD)
        if record["asked"] != asked:
            raise BuilderError(
                "ITERATION_DIFFERS", f"{out} is of another model, text or settings", "name another folder"
            )
        records.append(record)
        if record["perplexityRatio"] > settings.worst_ratio:
            break
        current = load_folder(out)
    on_progress("iterate", 1.0, "done")
    kept = [record["step"] for record in records if record["perplexityRatio"] <= settings.worst_ratio]
    return {"best": f"step-{kept[-1]}" if kept else None, "steps": records}


def _one_step(
    dense: Checkpoint, current: Checkpoint, training: Tensor, held_out: Tensor, settings: Iteration, step: int
) -> tuple[DecoderModel, dict[str, Any]]:
    """The next smaller model, recovered, and what came of it (losses on held-out text, nats a token).

    Where an earlier step took all that this one asks for, as whole layers do, it only trains.
    """
    before, now = (non_embedding_parameters(each.model) for each in (dense, current))
    # Of the dense model so many parameters should be left; of the current one this share must go.
    share = 1 - (1 - step_sparsity(settings, step)) * before / now
    rows, pruned = training[:CALIBRATION_ROWS], current.model
    if share > 1e-6:
        statistics = collect_statistics(current.model, rows)
        pruning = parse_method(settings.method, share, settings.alignment)
        pruned = prune(current.model, pruning, Calibration(rows, statistics, settings.training.seed)).model
    importance = layer_importance(pruned, rows)
    recovered = fine_tune(pruned, dense.model, training, held_out, importance, settings.training)
    record = {
        "step": step,
        "sparsity": 1 - non_embedding_parameters(recovered.model) / before,
        "lossPruned": recovered.curve[0].held_out_loss,
        "loss": min(point.held_out_loss for point in recovered.curve),
    }
    return recovered.model, record
