"""The job behind `espalier-builder recover`: a pruned checkpoint in, the trained and merged one out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from espalier_builder.artifact.whole_folder import whole_folder
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import non_embedding_parameters
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.checkpoint.save import save
from espalier_builder.failure import BuilderError
from espalier_builder.progress import OnProgress
from espalier_builder.prune.cfsp import OUR_CONTRAST, coarse_importance
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.recover.finetune import FineTuning, Recovered, fine_tune
from espalier_builder.stages.cost import measure_cost
from espalier_builder.text.rows import calibration_rows

# Of the documents, for early stopping; never trained on.
HELD_OUT = 0.1


def recover(
    checkpoint: Checkpoint,
    dense: Checkpoint | None,
    documents: list[str],
    settings: FineTuning,
    row_length: int,
    out: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Writes the recovered checkpoint into the new folder `out`; says what training did, with the held-out curve.

    Raises BuilderError `TEXT_TOO_SHORT`, `VOCABULARY_DIFFERS`, `RECOVERY_FILLS_MASK`, and what `fine_tune` raises.
    """
    refuse_masked(checkpoint)
    if dense is not None and dense.model.config.vocab_size != checkpoint.model.config.vocab_size:
        raise BuilderError(
            "VOCABULARY_DIFFERS",
            f"{dense.name} has {dense.model.config.vocab_size} tokens, {checkpoint.name} "
            f"{checkpoint.model.config.vocab_size}",
            "name the dense model that this one was pruned from",
        )
    training, held_out = split_rows(checkpoint, documents, settings, row_length)
    teacher = None if dense is None else dense.model
    with measure_cost() as meter:
        recovered = fine_tune_by_importance(
            checkpoint.model,
            teacher,
            training,
            held_out,
            settings,
            lambda share: on_progress("recover", share, "training"),
        )
    with whole_folder(out) as work:
        save(replace(checkpoint, model=recovered.model), work)
    losses = [point.held_out_loss for point in recovered.curve]
    return {
        "out": str(out),
        "trainedParameters": recovered.trained,
        "trainedShare": recovered.trained / non_embedding_parameters(recovered.model),
        "heldOutLoss": {"before": losses[0], "after": min(losses)},
        "curve": [{"step": point.step, "heldOutLoss": point.held_out_loss} for point in recovered.curve],
        "cost": meter.cost.to_json(),
    }


def fine_tune_by_importance(
    pruned: DecoderModel,
    dense: DecoderModel | None,
    training: Tensor,
    held_out: Tensor,
    settings: FineTuning,
    progress: Callable[[float], None] = lambda _: None,
) -> Recovered:
    """As `fine_tune`, by the importance that `pruned`'s own layers have on the held-out rows."""
    return fine_tune(pruned, dense, training, held_out, layer_importance(pruned, held_out), settings, progress)


def layer_importance(model: DecoderModel, rows: Tensor) -> list[float]:
    """Of each layer on `rows` `[N, T]`, as CFSP has it: what adapters' ranks go by."""
    return coarse_importance(collect_statistics(model, rows).angles, OUR_CONTRAST)


def refuse_masked(checkpoint: Checkpoint) -> None:
    """Raises BuilderError `RECOVERY_FILLS_MASK`."""
    if checkpoint.mask is not None:
        raise fills_mask(checkpoint.mask, "train first, and mask what comes of it")


def fills_mask(method: str, remedy: str) -> BuilderError:
    """`RECOVERY_FILLS_MASK`: zeros that a mask made are weights like any other to what trains."""
    return BuilderError("RECOVERY_FILLS_MASK", f"training would move the weights that {method} made zero", remedy)


def split_rows(
    checkpoint: Checkpoint, documents: list[str], settings: FineTuning, row_length: int
) -> tuple[Tensor, Tensor]:
    """Training and held-out rows `[N, T]`, of different documents."""
    length = min(row_length, checkpoint.model.config.max_position_embeddings)
    apart = max(1, round(len(documents) * HELD_OUT))
    if len(documents) < 2:
        raise BuilderError(
            "TEXT_TOO_SHORT", "one document can't be trained and stopped on", "give text of several documents"
        )
    wanted = settings.steps * settings.batch_rows * length
    train = calibration_rows(checkpoint.tokenizer, documents[:-apart], length=length, tokens=wanted, seed=settings.seed)
    held_out = calibration_rows(
        checkpoint.tokenizer, documents[-apart:], length=length, tokens=16 * length, seed=settings.seed
    )
    return train, held_out
