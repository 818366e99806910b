"""The command line's verbs: read the named files, run the job, say what came out."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from espalier_builder.artifact.file_tree import file_tree
from espalier_builder.command.progress_bar import progress_bar
from espalier_builder.contracts import Recipe, digest_of_json, recipe_name
from espalier_builder.failure import BuilderError, memory_failure
from espalier_builder.process import keep_freed_memory


def run_command(options: argparse.Namespace) -> dict[str, Any] | None:
    """The result as JSON, None for a command that has none. Raises BuilderError."""
    verbs: dict[str, Callable[[argparse.Namespace], dict[str, Any] | None]] = {
        "build": _build,
        "sensitivity": _sensitivity,
        "kit": _kit,
        "prune": _prune,
        "compare": _compare,
        "search": _search,
        "report": _report,
        "tasks": _tasks,
        "recover": _recover,
        "iterate": _iterate,
        "worker": _worker,
    }
    keep_freed_memory()
    if options.command not in ("worker", "compare", "iterate", "search", "tasks"):
        _require_free(options.out)
    try:
        return verbs[options.command](options)
    except (RuntimeError, MemoryError) as error:
        raise memory_failure(error) or error from error


# PyTorch takes seconds to import: after the options were found to make sense.


def _build(options: argparse.Namespace) -> dict[str, Any]:
    recipe = Recipe.from_json(_read_json(options.recipe))
    from espalier_builder.jobs import run_build
    from espalier_builder.stages.cache import StageCache

    model, text, cache = _model(options), _text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        built = run_build(model, recipe, text, cache, options.out, on_progress)
    exported = built.report["stages"][-1]
    return {
        "artifactDigest": built.digest,
        "name": recipe_name(recipe),
        "out": str(options.out),
        "sizeBytes": exported["sizeBytes"],
        "quality": exported["quality"],
        "denseQuality": built.report["dense"]["quality"],
        "protocol": exported["protocol"],
        "notes": built.report["notes"],
    }


def _sensitivity(options: argparse.Namespace) -> dict[str, Any]:
    values = _read_json(options.candidates)
    if not isinstance(values, list) or not values:
        raise BuilderError("CANDIDATES_INVALID", f"{options.candidates} is no list of recipes", "write [recipe, ...]")
    candidates = tuple(Recipe.from_json(value) for value in values)
    from espalier_builder.jobs import SENSITIVITY_FILE, run_sensitivity_job
    from espalier_builder.stages.cache import StageCache

    model, text, cache = _model(options), _text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        run_sensitivity_job(model, candidates, text, cache, options.out, on_progress)
    report: dict[str, Any] = _read_json(options.out / SENSITIVITY_FILE)
    return report


def _kit(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_kit
    from espalier_builder.kit.build_kit import KIT_FILE
    from espalier_builder.quantize.weight_format import WeightFormat
    from espalier_builder.stages.cache import StageCache

    formats = tuple(WeightFormat.from_json(parse_format(key)) for key in dict.fromkeys(options.format))
    model, cache = _model(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        digest = run_kit(model, formats, cache, options.out, on_progress)
    kit = _read_json(options.out / KIT_FILE)
    return {"kitDigest": digest, "out": str(options.out), "graphs": [graph["id"] for graph in kit["graphs"]]}


def _prune(options: argparse.Namespace) -> dict[str, Any]:
    recipe = Recipe.from_json(_read_json(options.recipe))
    if recipe.quantization.method != "none":
        raise BuilderError(
            "RECIPE_QUANTIZES", f"{options.recipe} quantizes, a pruned checkpoint is fp32", "use `build` for that"
        )
    from espalier_builder.jobs import run_prune
    from espalier_builder.stages.cache import StageCache

    model, text, cache = _model(options), _text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        return run_prune(model, recipe.pruning, text, cache, options.out, on_progress)


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import ComparisonSettings, run_compare
    from espalier_builder.stages.cache import StageCache

    settings = ComparisonSettings(options.methods, options.sparsity, options.alignment, options.documents)
    model, text, cache = _model(options), _text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        return run_compare(model, settings, text, cache, options.out, on_progress)


def _recover(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_recover
    from espalier_builder.stages.cache import StageCache

    model, settings, cache = _model(options), _training(options), StageCache(options.cache / "stages")
    dense = None if options.dense is None else _model(options, options.dense)
    with progress_bar() as on_progress:
        return run_recover(
            model, dense, options.text, settings, options.sequence_length, cache, options.out, on_progress
        )


def _iterate(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_iterate
    from espalier_builder.recover.iterate import Iteration
    from espalier_builder.stages.cache import StageCache

    settings = Iteration(
        method=options.method,
        sparsity=options.sparsity,
        steps=options.prune_steps,
        schedule=options.schedule,
        worst_ratio=options.worst_perplexity_ratio,
        alignment=options.alignment,
        training=_training(options),
    )
    model, cache = _model(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        return run_iterate(model, options.text, settings, options.sequence_length, cache, options.out, on_progress)


def _report(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_report
    from espalier_builder.stages.cache import StageCache

    model, text, cache = _model(options), _text(options), StageCache(options.cache / "stages")
    prompts = tuple(options.prompt or ())
    with progress_bar() as on_progress:
        return run_report(model, options.variant, text, prompts, options.answer_tokens, cache, options.out, on_progress)


def _tasks(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_task_job
    from espalier_builder.stages.cache import StageCache

    model, cache = _model(options), StageCache(options.cache / "stages")
    variants, tasks = tuple(options.variant), tuple(options.task)
    with progress_bar() as on_progress:
        return run_task_job(model, variants, tasks, options.limit, cache, options.out, on_progress)


def _search(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.search.front import parse_floor
    from espalier_builder.search.space import Space

    floor = parse_floor(options.floor)
    space = Space(options.methods, options.most_sparsity, options.alignment, options.kv_cache)
    for params in space.sweep():
        space.recipe(params)
    from espalier_builder.jobs import run_search_job
    from espalier_builder.search.search import Search
    from espalier_builder.stages.cache import StageCache

    search = Search(space, floor, options.trials, options.seed)
    model, text, cache = _model(options), _text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        return run_search_job(model, search, text, cache, options.out, on_progress)


def _training(options: argparse.Namespace) -> Any:
    from espalier_builder.recover.finetune import FineTuning

    return FineTuning(
        kind=options.train,
        ranks=options.ranks,
        mean_rank=options.rank,
        distil=options.distil,
        steps=options.steps,
        batch_rows=options.batch_rows,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )


def _worker(options: argparse.Namespace) -> None:
    from espalier_builder.worker.serve import ServeOptions, serve

    serve(ServeOptions(options.nats, options.creds, options.cache, options.device, options.job_timeout))


def parse_format(key: str) -> dict[str, Any]:
    """The `WeightFormat` that a key such as `q4b32a` or `fp32` names. Raises BuilderError `FORMAT_INVALID`."""
    if key == "fp32":
        return {"bits": 32, "blockSize": 0, "symmetric": True, "accuracyLevel": 0}
    found = re.fullmatch(r"q([48])b(32|64|128|256)(a?)(-l0)?", key)
    if found is None:
        raise BuilderError("FORMAT_INVALID", f"{key!r} names no weight format", "use fp32, q8b128, q8b32, q4b32a, ...")
    bits, block, asymmetric, level = found.groups()
    return {
        "bits": int(bits),
        "blockSize": int(block),
        "symmetric": not asymmetric,
        "accuracyLevel": 0 if level else 4,
    }


def _model(options: argparse.Namespace, path: Path | None = None) -> Any:
    """The model at `path`, or else the one that `--model` names."""
    from espalier_builder.device import choose_device
    from espalier_builder.jobs import Model

    path = options.model if path is None else path
    if not path.exists():
        raise BuilderError("CHECKPOINT_NOT_FOUND", f"{path} does not exist", "name a folder or a .gguf file")
    return Model(path, digest_of_json(file_tree(path, "model")), choose_device(options.device))


def _text(options: argparse.Namespace) -> Any:
    from espalier_builder.text_inputs import TextSettings, TextSource

    def source(path: Path | None, option: str) -> TextSource:
        if path is None:
            return TextSource()
        if not path.exists():
            raise BuilderError("TEXT_NOT_FOUND", f"{option} {path} does not exist", "name a .jsonl or .txt file")
        return TextSource(path, digest_of_json(file_tree(path, "dataset")))

    return TextSettings(
        calibration=source(getattr(options, "calibration", None), "--calibration"),
        evaluation=source(getattr(options, "eval", None), "--eval"),
        calibration_tokens=getattr(options, "calibration_tokens", 0),
        evaluation_tokens=getattr(options, "eval_tokens", 0),
        sequence_length=options.sequence_length,
        seed=options.seed,
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        raise BuilderError("FILE_UNREADABLE", f"{path} can't be read ({error.strerror})", "check the path") from error
    except ValueError as error:
        raise BuilderError("FILE_INVALID", f"{path} is no JSON ({error})", "repair the file") from error


def _require_free(out: Path) -> None:
    if out.exists():
        raise BuilderError("OUT_EXISTS", f"{out} exists already", "name another folder, or remove it")
    parent = out.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(parent).free == 0:
        raise BuilderError("DISK_FULL", f"no room is left at {parent}", "free some, or name a folder on another disk")
