"""Automated level search: a sweep, then Optuna's tree-structured Parzen estimator (Bergstra et al., 2011), with the
floor as a constraint, and in every batch the neighbours of what matters: the knee, and the most compressed level above
the floor.

INVARIANT: a batch is written as soon as it is judged, and what is written is never judged again: a search that was
killed goes on where it stopped, and one that is given more trials goes on from its last.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from espalier_builder.artifact.whole_file import write_whole
from espalier_builder.contracts import Recipe, recipe_digest, recipe_name, validate
from espalier_builder.failure import BuilderError
from espalier_builder.search.front import Candidate, Floor, cost, damage, knee, most_compressed, pareto_front
from espalier_builder.search.plot import plot_front
from espalier_builder.search.space import DENSE, LEAST_SPARSITY, STEP, Params, Space
from espalier_builder.sensitivity import SensitivityRequest, run_sensitivity
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import digest_of_rows

TRIALS_FILE, FRONT_FILE, PLOT_FILE = "trials.json", "front.json", "front.svg"
# What trials follow from beside the model and the text that they are judged on, which they name themselves.
CALIBRATION_FILE = "calibration.json"
# Judged together: the dense model is evaluated once a batch.
BATCH = 6
_SUGGESTIONS = 40
Progress = Callable[[float, str], None]
Judge = Callable[[tuple[Recipe, ...]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Search:
    """`trials`: recipes judged in all, those of earlier runs included."""

    space: Space
    floor: Floor
    trials: int
    seed: int = 0


def run_search(
    search: Search, request: SensitivityRequest, cache: StageCache, folder: Path, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Fills `folder` with `trials.json`, `front.json` (a `SensitivityReport` of the front, whose recipes serve as a
    rollout's `candidates`) and `front.svg`; returns what was found, `best` None where nothing is above the floor.
    `request.candidates` is not read.

    Raises BuilderError `SEARCH_DIFFERS` where the folder holds trials of another model, text or calibration,
    `EXTRA_MISSING`.
    """
    if importlib.util.find_spec("optuna") is None:
        raise BuilderError("EXTRA_MISSING", "optuna is not installed", "pip install 'espalier-builder[search]'")

    def judge(recipes: tuple[Recipe, ...]) -> dict[str, Any]:
        return run_sensitivity(replace(request, candidates=recipes), cache)

    _require_same_calibration(request, folder)
    report = search_levels(search, judge, folder, progress)
    best = most_compressed(report["candidates"], search.floor)
    front = pareto_front(report["candidates"])
    middle = knee(front)
    plot_front(report["candidates"], front, search.floor, best, folder / PLOT_FILE)
    return {
        "out": str(folder),
        "judged": len(report["candidates"]) + len(report["rejected"]),
        "floor": str(search.floor),
        "best": None if best is None else _summary(best),
        "knee": None if middle is None else _summary(middle),
        "front": [_summary(candidate) for candidate in front],
        "protocol": report["protocol"],
    }


def search_levels(search: Search, judge: Judge, folder: Path, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """The `SensitivityReport` of all trials, after `judge` has been asked for those that `folder` lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    report = _read(folder / TRIALS_FILE)
    while (done := _judged(report)) < search.trials:
        progress(done / search.trials, f"{done} of {search.trials} recipes judged")
        batch = next_batch(search, report, min(BATCH, search.trials - done))
        if not batch:
            break
        report = _joined(report, judge(tuple(batch)), folder)
        _write(folder / TRIALS_FILE, report)
        _write_front(folder, report)
    progress(1.0, "done")
    if not report.get("candidates"):
        raise BuilderError("SEARCH_EMPTY", "no recipe could be judged", "see the reasons in trials.json")
    # A run killed after its last trials may have left the front of those before.
    _write_front(folder, report)
    return report


def next_batch(search: Search, report: dict[str, Any], count: int) -> list[Recipe]:
    """Up to `count` recipes that were not judged yet: of the sweep, then half of them neighbours, half sampled."""
    space, candidates = search.space, report.get("candidates", [])
    rejected = [entry["recipe"] for entry in report.get("rejected", [])]
    known = {recipe_digest(Recipe.from_json(value)) for value in [*(each["recipe"] for each in candidates), *rejected]}
    batch: dict[str, Recipe] = {}

    def take(params: Params, limit: int) -> None:
        recipe = space.recipe(params)
        digest = recipe_digest(recipe)
        if len(batch) < limit and digest not in known:
            batch[digest] = recipe

    for params in space.sweep():
        take(params, count)
    if batch:
        return list(batch.values())
    points = {recipe_digest(space.recipe(params)): params for params in _points(space)}
    for centre in (most_compressed(candidates, search.floor), knee(pareto_front(candidates))):
        if centre is not None and centre["recipeDigest"] in points:
            for params in space.neighbours(points[centre["recipeDigest"]]):
                take(params, (len(batch) + count + 1) // 2)
    for params in _suggestions(search, candidates, points):
        take(params, count)
    return list(batch.values())


def _suggestions(search: Search, candidates: list[Candidate], points: dict[str, Params]) -> list[Params]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions: dict[str, Any] = {
        name: optuna.distributions.CategoricalDistribution(values) for name, values in search.space.choices().items()
    }
    most = search.space.most_sparsity
    distributions["sparsity"] = optuna.distributions.FloatDistribution(LEAST_SPARSITY, most, step=STEP)
    # Seeded by how far the search is, so that a resumed one goes on as if it had never stopped.
    sampler = optuna.samplers.TPESampler(
        seed=search.seed + len(candidates),
        multivariate=True,
        n_startup_trials=0,
    )
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    for candidate in (each for each in candidates if each["recipeDigest"] in points):
        study.add_trial(
            optuna.trial.create_trial(
                values=[float(cost(candidate)), damage(candidate)],
                params=points[candidate["recipeDigest"]],
                distributions=distributions,
                constraints={str(search.floor): search.floor.violation(candidate)},
            )
        )
    return [dict(study.ask(distributions).params) for _ in range(_SUGGESTIONS)]


def _points(space: Space) -> list[Params]:
    """Every point of the space, one for each recipe."""
    count = round((space.most_sparsity - LEAST_SPARSITY) / STEP) + 1
    choices = space.choices()
    formats: list[Params] = [
        {"grid": grid, "block": block, "zeros": zeros}
        for grid in choices["grid"]
        for block in choices["block"]
        for zeros in choices["zeros"]
    ]
    prunings = [
        (method, round(LEAST_SPARSITY + STEP * at, 4))
        for method in choices["method"]
        for at in range(1 if method == DENSE else count)
    ]
    return [
        {"method": method, "sparsity": sparsity, **each}
        for (method, sparsity), each in itertools.product(prunings, formats)
    ]


def _judged(report: dict[str, Any]) -> int:
    return len(report.get("candidates", [])) + len(report.get("rejected", []))


def _require_same_calibration(request: SensitivityRequest, folder: Path) -> None:
    """Raises BuilderError `SEARCH_DIFFERS` where the trials in `folder` learned from other rows or by another seed."""
    file, calibration = folder / CALIBRATION_FILE, {"rows": digest_of_rows(request.rows), "seed": request.seed}
    if not file.exists():
        write_whole(file, json.dumps(calibration) + "\n")
    elif file.read_text(encoding="utf8") != json.dumps(calibration) + "\n":
        raise BuilderError(
            "SEARCH_DIFFERS",
            f"{folder} holds trials with another calibration",
            "name another folder, or remove this one",
        )


def _joined(report: dict[str, Any], more: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Both reports' trials; they must be of one model by one protocol."""
    if not report:
        return more
    for key in ("modelDigest", "protocol"):
        if report[key] != more[key]:
            raise BuilderError(
                "SEARCH_DIFFERS", f"{folder} holds trials with another {key}", "name another folder, or remove this one"
            )
    return {
        **report,
        "candidates": report["candidates"] + more["candidates"],
        "rejected": report["rejected"] + more["rejected"],
    }


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf8"))
        validate("SensitivityReport", report)
    except (ValueError, BuilderError) as error:
        raise BuilderError("FILE_INVALID", f"{file} holds no trials ({error})", "name another folder") from error
    return report


def _write(file: Path, report: dict[str, Any]) -> None:
    validate("SensitivityReport", report)
    write_whole(file, json.dumps(report, indent=1) + "\n")


def _write_front(folder: Path, report: dict[str, Any]) -> None:
    _write(folder / FRONT_FILE, {**report, "candidates": pareto_front(report["candidates"]), "rejected": []})


def _summary(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": recipe_name(Recipe.from_json(candidate["recipe"])),
        "weightBytes": cost(candidate),
        **candidate["quality"],
        "recipe": candidate["recipe"],
    }
