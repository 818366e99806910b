"""Builds one variant: prune, quantize, export, evaluate what was exported, and list it all in a manifest."""

from __future__ import annotations

from pathlib import Path

from espalier_builder.artifact.whole_folder import whole_folder
from espalier_builder.building.artifact_writer import ArtifactWriter, BuiltVariant
from espalier_builder.building.build_log import BuildLog, BuildRequest
from espalier_builder.building.level import LevelMaker
from espalier_builder.progress import OnProgress, no_progress
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text_inputs import TextInputs


def build(request: BuildRequest, cache: StageCache, out: Path, on_progress: OnProgress = no_progress) -> BuiltVariant:
    """Writes the artifact into the folder `out`, which appears only when it is complete and must not exist before.

    Raises BuilderError for a checkpoint, recipe or text that can't be built from.
    """
    with whole_folder(out) as work:
        log = BuildLog(request, on_progress)
        stages = ModelStages(cache, DenseModel(request.checkpoint.model, request.model_digest))
        texts = TextInputs(request.checkpoint, request.model_digest, request.text, cache)
        maker = LevelMaker(request, stages, texts, log)
        yardstick = maker.yardstick()
        level = maker.make(yardstick)
        log.notes += texts.notes
        log.costs[:0] = [*texts.costs, *stages.costs]
        return ArtifactWriter(request, work, log).write(level, yardstick)
