"""The expensive stages between a checkpoint and its levels, each made once per content and shared by all levels."""

from __future__ import annotations

from espalier_builder.stages.pruning_stages import PruningStages
from espalier_builder.stages.quantizing_stages import QuantizingStages


class ModelStages(PruningStages, QuantizingStages):
    """All stages of one dense model."""
