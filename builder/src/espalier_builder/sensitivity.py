"""The sensitivity job: every candidate's quality before it is built, on the same few thousand tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from espalier_builder.artifact.report import EvaluationText, protocol
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.contracts import Pruning, Recipe, digest_of_json, recipe_digest, recipe_name, validate
from espalier_builder.evaluate.dense_logits import DenseLogits
from espalier_builder.evaluate.model import model_figures, reference_figures
from espalier_builder.evaluate.quality import QualityAccumulator
from espalier_builder.evaluate.slices import slice_qualities
from espalier_builder.export.shape import variant_shape
from espalier_builder.failure import BuilderError
from espalier_builder.prune.apply import Pruned
from espalier_builder.quantize.model import dequantized
from espalier_builder.quantize.weight_format import variant_formats
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text.rows import control_rows

# (share of the job done, what is being done)
Progress = Callable[[float, str], None]
PREPARATION = 0.15


@dataclass(frozen=True, slots=True)
class SensitivityRequest:
    """`model_digest` names what `checkpoint` was read from."""

    checkpoint: Checkpoint
    model_digest: str
    candidates: tuple[Recipe, ...]
    rows: Tensor
    evaluation: EvaluationText
    seed: int = 0


def run_sensitivity(
    request: SensitivityRequest, cache: StageCache, progress: Progress = lambda _share, _doing: None
) -> dict[str, Any]:
    """The `SensitivityReport` of all candidates, in the order asked.

    Each distinct pruning is computed once (with its closed-form recovery), then quantized copies of its weights are
    evaluated in PyTorch. A candidate that can't be built, or whose quality can't be computed, is rejected with the
    reason. Raises BuilderError where the dense model itself can't be evaluated.
    """
    dense = DenseModel(request.checkpoint.model, request.model_digest)
    stages = ModelStages(cache, dense)
    progress(0.0, "evaluating the dense model")
    reference = stages.dense_logits(
        request.evaluation.windows, lambda share: progress(0.4 * PREPARATION * share, "dense model")
    )
    figures = reference_figures(request.evaluation.windows, reference)
    progress(0.5 * PREPARATION, "collecting calibration statistics")
    calibration = stages.calibration(request.rows, request.seed)

    results: dict[str, dict[str, Any]] = {}
    rejected: dict[str, str] = {}
    for pruning, recipes in by_pruning(request.candidates):
        done = PREPARATION + (1 - PREPARATION) * (len(results) + len(rejected)) / len(request.candidates)
        progress(done, f"pruning for {recipe_name(recipes[0])}")
        try:
            pruned = stages.pruned(pruning, calibration)
        except BuilderError as error:
            rejected |= {recipe_digest(recipe): f"{error.code}: {error}" for recipe in recipes}
            continue
        for recipe in recipes:
            done = PREPARATION + (1 - PREPARATION) * (len(results) + len(rejected)) / len(request.candidates)
            progress(done, f"evaluating {recipe_name(recipe)}")
            try:
                results[recipe_digest(recipe)] = _candidate(recipe, pruned, request, stages, reference, figures)
            except BuilderError as error:
                rejected[recipe_digest(recipe)] = f"{error.code}: {error}"
    progress(1.0, "done")
    asked = unique(request.candidates)
    report = {
        "schemaVersion": 1,
        "modelDigest": request.model_digest,
        "protocol": protocol(request.evaluation, "pytorch"),
        "dense": figures.quality(text_bytes=request.evaluation.windows.text_bytes).to_json(),
        "candidates": [results[digest] for digest, _ in asked if digest in results],
        "rejected": [
            {"recipe": recipe.to_json(), "reason": rejected[digest]} for digest, recipe in asked if digest in rejected
        ],
    }
    validate("SensitivityReport", report)
    return report


def by_pruning(candidates: tuple[Recipe, ...]) -> list[tuple[Pruning, list[Recipe]]]:
    """Candidates grouped by what is pruned, in order of first appearance, each recipe once."""
    groups: dict[str, tuple[Pruning, list[Recipe]]] = {}
    for _, recipe in unique(candidates):
        key = digest_of_json(recipe.pruning.to_json())
        groups.setdefault(key, (recipe.pruning, []))[1].append(recipe)
    return list(groups.values())


def unique(candidates: tuple[Recipe, ...]) -> list[tuple[str, Recipe]]:
    """(digest, recipe) of each distinct candidate, in the order asked."""
    return list({recipe_digest(recipe): recipe for recipe in candidates}.items())


def _candidate(
    recipe: Recipe,
    pruned: Pruned,
    request: SensitivityRequest,
    stages: ModelStages,
    reference: DenseLogits,
    dense: QualityAccumulator,
) -> dict[str, Any]:
    started = time.perf_counter()
    made = stages.quantized(pruned.model, recipe, lambda: request.rows, request.seed)
    windows = request.evaluation.windows
    figures = dense
    if recipe != Recipe():
        model = pruned.model
        if recipe.quantization.method != "none":
            formats = variant_formats(made.formats, pruned.model.config.hidden_size)
            model = dequantized(made.scaled(pruned.model), formats, made.matrices)
        kv_scales = None
        if recipe.kv_cache is not None:
            rows = torch.cat([request.rows, control_rows(request.checkpoint.tokenizer, request.rows)])
            kv_scales = stages.kv_scales(model, recipe, rows, request.seed)
        figures = model_figures(model, windows, reference, kv_scales=kv_scales)
    return {
        "recipe": recipe.to_json(),
        "recipeDigest": recipe_digest(recipe),
        "shape": variant_shape(pruned.model, recipe, made.formats),
        "quality": figures.quality(text_bytes=windows.text_bytes).to_json(),
        "slices": [part.to_json() for part in slice_qualities(windows, dense, figures)],
        "seconds": time.perf_counter() - started,
    }
