"""The things that a builder does, as one call each: what the command line and the worker have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from espalier_builder.artifact.whole_folder import whole_folder
from espalier_builder.artifact.write_document import write_document
from espalier_builder.building.artifact_writer import BuiltVariant
from espalier_builder.building.build import build
from espalier_builder.building.build_log import BuildRequest
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import all_parameters, ffn_widths, heads_of
from espalier_builder.checkpoint.save import save
from espalier_builder.compare import Comparison, Recovery, compare
from espalier_builder.contracts import MASK_METHODS, Pruning, Recipe
from espalier_builder.device import on_device
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.failure import BuilderError
from espalier_builder.kit.build_kit import build_kit
from espalier_builder.layer_profile import LayerProfileRequest, run_layer_profile
from espalier_builder.page.write_page import PageRequest, write_page
from espalier_builder.progress import OnProgress
from espalier_builder.quantize.weight_format import WeightFormat
from espalier_builder.recover.finetune import FineTuning
from espalier_builder.recover.iterate import Iteration, iterate
from espalier_builder.recover.recover_job import recover, split_rows
from espalier_builder.search.search import Search, run_search
from espalier_builder.sensitivity import SensitivityRequest, run_sensitivity
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.tasks.run_tasks import TaskRun, Through, run_tasks
from espalier_builder.text.read import read_documents
from espalier_builder.text.windows import document_windows
from espalier_builder.text_inputs import TextInputs, TextSettings

SENSITIVITY_FILE = "sensitivity.json"
PROFILE_FILE = "profile.json"


@dataclass(frozen=True, slots=True)
class Model:
    """`digest` is that of the `FileTree` at `path`; `device` is `cpu` or `cuda`; `name` defaults to the path's."""

    path: Path
    digest: str
    device: str
    name: str | None = None


def run_build(
    model: Model, recipe: Recipe, text: TextSettings, cache: StageCache, out: Path, on_progress: OnProgress
) -> BuiltVariant:
    """Builds one variant into the new folder `out`. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    return build(BuildRequest(checkpoint, model.digest, recipe, text), cache, out, on_progress)


def run_sensitivity_job(
    model: Model,
    candidates: tuple[Recipe, ...],
    text: TextSettings,
    cache: StageCache,
    out: Path,
    on_progress: OnProgress,
) -> str:
    """Writes `sensitivity.json` into the new folder `out`; returns its digest. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    texts = TextInputs(checkpoint, model.digest, text, cache)
    evaluation = texts.evaluation()
    request = SensitivityRequest(
        checkpoint=checkpoint,
        model_digest=model.digest,
        candidates=candidates,
        rows=texts.calibration(),
        evaluation=evaluation,
        seed=text.seed,
    )
    report = run_sensitivity(request, cache, lambda share, doing: on_progress("sensitivity", share, doing))
    with whole_folder(out) as work:
        return write_document(work / SENSITIVITY_FILE, "SensitivityReport", report)


def run_profile_job(model: Model, text: TextSettings, cache: StageCache, out: Path, on_progress: OnProgress) -> str:
    """Writes `profile.json` into the new folder `out`; returns its digest. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    evaluation = TextInputs(checkpoint, model.digest, text, cache).evaluation()
    request = LayerProfileRequest(
        checkpoint=checkpoint,
        model_digest=model.digest,
        evaluation=evaluation,
    )
    profile = run_layer_profile(request, cache, lambda share, doing: on_progress("profile", share, doing))
    with whole_folder(out) as work:
        return write_document(work / PROFILE_FILE, "LayerProfile", profile)


def run_kit(
    model: Model, formats: tuple[WeightFormat, ...], cache: StageCache, out: Path, on_progress: OnProgress
) -> str:
    """Writes a measurement kit into the new folder `out`; returns its digest. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    on_progress("kit", 0.5, "writing graphs")
    with whole_folder(out) as work:
        digest = build_kit(spec_of(checkpoint.model), model.digest, formats, work)
    on_progress("kit", 1.0, "done")
    return digest


def run_prune(
    model: Model, pruning: Pruning, text: TextSettings, cache: StageCache, out: Path, on_progress: OnProgress
) -> dict[str, Any]:
    """Writes the pruned checkpoint into the new folder `out`; says what was removed. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    texts = TextInputs(checkpoint, model.digest, text, cache)
    stages = ModelStages(cache, DenseModel(checkpoint.model, model.digest))
    on_progress("prune", 0.1, "collecting calibration statistics")
    calibration = stages.calibration(texts.calibration(), text.seed)
    pruned = stages.pruned(pruning, calibration, lambda share: on_progress("prune", 0.3 + 0.6 * share, "pruning"))
    with whole_folder(out) as work:
        mask = pruning.method if pruning.method in MASK_METHODS else checkpoint.mask
        save(replace(checkpoint, model=pruned.model, mask=mask), work)
    on_progress("prune", 1.0, "done")
    return {
        "out": str(out),
        "pruning": pruning.to_json(),
        "achievedSparsity": pruned.achieved_sparsity,
        "parameters": all_parameters(pruned.model),
        "ffnWidths": ffn_widths(pruned.model),
        "heads": [query for query, _ in heads_of(pruned.model)],
        "notes": [*checkpoint.notes, *texts.notes],
    }


def run_search_job(
    model: Model, search: Search, text: TextSettings, cache: StageCache, out: Path, on_progress: OnProgress
) -> dict[str, Any]:
    """Fills the folder `out` with the trials that it lacks; says what was found. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    texts = TextInputs(checkpoint, model.digest, text, cache)
    evaluation = texts.evaluation()
    request = SensitivityRequest(checkpoint, model.digest, (), texts.calibration(), evaluation, text.seed)
    return run_search(search, request, cache, out, lambda share, doing: on_progress("search", share, doing))


def run_report(
    model: Model,
    variant: Path,
    text: TextSettings,
    prompts: tuple[str, ...],
    answer_tokens: int,
    cache: StageCache,
    file: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Writes the page about the artifact in the folder `variant` to `file`. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    if text.evaluation.path is None:
        raise BuilderError("TEXT_NOT_FOUND", "no evaluation text is given", "name one with --eval")
    request = PageRequest(
        checkpoint=checkpoint,
        model_digest=model.digest,
        variant=variant,
        documents=read_documents(text.evaluation.path, "evaluation"),
        document_tokens=text.evaluation_tokens,
        sequence_length=text.sequence_length,
        prompts=prompts,
        answer_tokens=answer_tokens,
    )
    return write_page(request, file, on_progress)


def run_task_job(
    model: Model,
    variants: tuple[Path, ...],
    tasks: tuple[Path, ...],
    limit: int | None,
    through: Through,
    cache: StageCache,
    file: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """What the artifacts in the folders `variants` answer otherwise than the dense model. Raises BuilderError."""
    run = TaskRun(_load(model, cache, on_progress), model.digest, variants, tasks, limit, through)
    rows = run_tasks(run, file, lambda share, doing: on_progress("tasks", share, doing))
    return {"model": run.checkpoint.name, "rows": rows, "notes": list(run.checkpoint.notes)}


# A training row's length in `compare`, at most; `recover` has the same default.
RECOVERY_ROW_TOKENS = 512


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """What `run_compare` is asked. `documents`: the first so many of the evaluation file, None for all.

    `recovery`: training after every pruning, on the calibration file's documents.
    """

    methods: tuple[str, ...]
    sparsities: tuple[float, ...]
    alignment: int
    documents: int | None
    recovery: FineTuning | None


def run_compare(
    model: Model,
    settings: ComparisonSettings,
    text: TextSettings,
    cache: StageCache,
    file: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Fills `file` with the rows that it lacks. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    length = min(text.sequence_length, checkpoint.model.config.max_position_embeddings)
    if text.evaluation.path is None:
        raise BuilderError("TEXT_NOT_FOUND", "no evaluation text is given", "name one with --eval")
    documents = read_documents(text.evaluation.path, "evaluation")[: settings.documents]
    comparison = Comparison(
        checkpoint=checkpoint,
        model_digest=model.digest,
        methods=settings.methods,
        sparsities=settings.sparsities,
        alignment=settings.alignment,
        rows=TextInputs(checkpoint, model.digest, text, cache).calibration(),
        seed=text.seed,
        windows=document_windows(checkpoint.tokenizer, documents, length=length),
        recovery=None if settings.recovery is None else _recovery(checkpoint, settings.recovery, text),
    )
    return compare(comparison, cache, file, lambda share, doing: on_progress("compare", share, doing))


def _recovery(checkpoint: Checkpoint, settings: FineTuning, text: TextSettings) -> Recovery:
    if text.calibration.path is None:
        raise BuilderError("TEXT_NOT_FOUND", "there is no text to train on", "name one with --calibration")
    documents = read_documents(text.calibration.path, "calibration")
    training, held_out = split_rows(checkpoint, documents, settings, min(text.sequence_length, RECOVERY_ROW_TOKENS))
    return Recovery(settings, training, held_out)


def run_recover(
    model: Model,
    dense: Model | None,
    text: Path,
    settings: FineTuning,
    row_length: int,
    cache: StageCache,
    out: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Writes the recovered checkpoint into the new folder `out`. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    teacher = None if dense is None else _load(dense, cache, on_progress)
    documents = read_documents(text, "calibration")
    return recover(checkpoint, teacher, documents, settings, row_length, out, on_progress)


def run_iterate(
    model: Model,
    text: Path,
    settings: Iteration,
    row_length: int,
    cache: StageCache,
    out: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Fills the folder `out` with the steps that it lacks. Raises BuilderError."""
    checkpoint = _load(model, cache, on_progress)
    documents = read_documents(text, "calibration")
    return iterate(checkpoint, model.digest, documents, settings, row_length, out, on_progress)


def _load(model: Model, cache: StageCache, on_progress: OnProgress) -> Checkpoint:
    on_progress("load", 0.0, f"reading {model.name or model.path.name}")
    checkpoint = on_device(load_cached(model.path, cache), model.device)
    return checkpoint if model.name is None else replace(checkpoint, name=model.name)
