"""The builder's stages for benches: what one has pruned, another that is given the same cache doesn't prune again."""

from __future__ import annotations

from pathlib import Path

from espalier_builder.artifact.file_tree import file_tree
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import digest_of_json
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages


def stages_of(path: Path, model: DecoderModel, cache: StageCache) -> ModelStages:
    """Stages of the model that was read from `path`, as the commands of `espalier-builder` know it."""
    return ModelStages(cache, DenseModel(model, digest_of_json(file_tree(path, "model"))))
