"""The command line's verbs: read the named files, run the job, say what came out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from espalier_builder.command.inputs import (
    named_model,
    named_text,
    parse_format,
    read_candidates,
    read_json,
    read_recipe,
    require_free,
    require_methods,
)
from espalier_builder.command.progress_bar import progress_bar
from espalier_builder.contracts import recipe_name
from espalier_builder.failure import BuilderError, machine_failure
from espalier_builder.process import keep_freed_memory

if TYPE_CHECKING:
    from espalier_builder.recover.finetune import FineTuning


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
    try:
        if options.command not in ("worker", "compare", "iterate", "search", "tasks"):
            require_free(options.out)
        with _precision(options):
            return verbs[options.command](options)
    except BuilderError:
        raise
    except Exception as error:
        raise machine_failure(error) or error from error


def _precision(options: argparse.Namespace) -> AbstractContextManager[None]:
    if not getattr(options, "fp32", False):
        return nullcontext()
    from espalier_builder.prune.precision import fp32_only

    return fp32_only()


# PyTorch takes seconds to import: after the options were found to make sense.


def _build(options: argparse.Namespace) -> dict[str, Any]:
    recipe = read_recipe(options.recipe)
    from espalier_builder.jobs import run_build
    from espalier_builder.stages.cache import StageCache

    model, text, cache = named_model(options), named_text(options), StageCache(options.cache / "stages")
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
    candidates = read_candidates(options.candidates)
    from espalier_builder.jobs import SENSITIVITY_FILE, run_sensitivity_job
    from espalier_builder.stages.cache import StageCache

    model, text, cache = named_model(options), named_text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        run_sensitivity_job(model, candidates, text, cache, options.out, on_progress)
    report: dict[str, Any] = read_json(options.out / SENSITIVITY_FILE)
    return report


def _kit(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_kit
    from espalier_builder.kit.build_kit import KIT_FILE
    from espalier_builder.quantize.weight_format import WeightFormat
    from espalier_builder.stages.cache import StageCache

    formats = tuple(WeightFormat.from_json(parse_format(key)) for key in dict.fromkeys(options.format))
    model, cache = named_model(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        digest = run_kit(model, formats, cache, options.out, on_progress)
    kit = read_json(options.out / KIT_FILE)
    return {"kitDigest": digest, "out": str(options.out), "graphs": [graph["id"] for graph in kit["graphs"]]}


def _prune(options: argparse.Namespace) -> dict[str, Any]:
    recipe = read_recipe(options.recipe)
    if recipe.quantization.method != "none":
        raise BuilderError(
            "RECIPE_QUANTIZES", f"{options.recipe} quantizes, a pruned checkpoint is fp32", "use `build` for that"
        )
    from espalier_builder.jobs import run_prune
    from espalier_builder.stages.cache import StageCache

    model, text, cache = named_model(options), named_text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        return run_prune(model, recipe.pruning, text, cache, options.out, on_progress)


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    require_methods(*options.methods)
    from espalier_builder.jobs import ComparisonSettings, run_compare
    from espalier_builder.stages.cache import StageCache

    settings = ComparisonSettings(
        options.methods, options.sparsity, options.alignment, options.documents, _recovery(options)
    )
    model, text, cache = named_model(options), named_text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        return run_compare(model, settings, text, cache, options.out, on_progress)


def _recover(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_recover
    from espalier_builder.stages.cache import StageCache

    model, settings, cache = named_model(options), _training(options), StageCache(options.cache / "stages")
    dense = None if options.dense is None else named_model(options, options.dense)
    with progress_bar() as on_progress:
        return run_recover(
            model, dense, options.text, settings, options.sequence_length, cache, options.out, on_progress
        )


def _iterate(options: argparse.Namespace) -> dict[str, Any]:
    require_methods(options.method)
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
    model, cache = named_model(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        return run_iterate(model, options.text, settings, options.sequence_length, cache, options.out, on_progress)


def _report(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_report
    from espalier_builder.stages.cache import StageCache

    model, text, cache = named_model(options), named_text(options), StageCache(options.cache / "stages")
    prompts = tuple(options.prompt or ())
    with progress_bar() as on_progress:
        return run_report(model, options.variant, text, prompts, options.answer_tokens, cache, options.out, on_progress)


def _tasks(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.jobs import run_task_job
    from espalier_builder.stages.cache import StageCache

    model, cache = named_model(options), StageCache(options.cache / "stages")
    variants, tasks = tuple(options.variant), tuple(options.task)
    with progress_bar() as on_progress:
        return run_task_job(model, variants, tasks, options.limit, options.through, cache, options.out, on_progress)


def _search(options: argparse.Namespace) -> dict[str, Any]:
    from espalier_builder.search.front import parse_floor
    from espalier_builder.search.space import Space

    floor = parse_floor(options.floor)
    require_methods(*options.methods)
    space = Space(options.methods, options.most_sparsity, options.alignment, options.kv_cache)
    from espalier_builder.jobs import run_search_job
    from espalier_builder.search.search import FRONT_FILE, Search
    from espalier_builder.stages.cache import StageCache

    search = Search(space, floor, options.trials, options.seed)
    model, text, cache = named_model(options), named_text(options), StageCache(options.cache / "stages")
    with progress_bar() as on_progress:
        found = run_search_job(model, search, text, cache, options.out, on_progress)
    if found["best"] is None:
        raise BuilderError(
            "FLOOR_UNREACHED",
            f"none of {found['judged']} recipes meets {floor}; {options.out / FRONT_FILE} has the best",
            "lower the floor, or allow less sparsity",
        )
    return found


def _training(options: argparse.Namespace) -> FineTuning:
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


def _recovery(options: argparse.Namespace) -> FineTuning | None:
    """What `compare` trains after pruning: towards the dense model, adapters faster than everything."""
    if options.recovery is None:
        return None
    from espalier_builder.recover.finetune import FineTuning

    rate = 1e-3 if options.recovery == "lora" else 1e-4
    return FineTuning(
        kind=options.recovery, distil=True, learning_rate=rate, steps=options.recovery_steps, seed=options.seed
    )


def _worker(options: argparse.Namespace) -> None:
    from espalier_builder.worker.serve import ServeOptions, serve

    serve(ServeOptions(options.nats, options.creds, options.cache, options.device, options.job_timeout))
