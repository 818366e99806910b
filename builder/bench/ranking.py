"""How well the sensitivity job ranks variants before they are built: docs/measurements/ranking.{md,json}.

    python builder/bench/ranking.py --model DIR|FILE.gguf --calibration A.jsonl --eval B.jsonl --out docs/measurements

The job judges each candidate without recovery, on few tokens and by PyTorch; the variant has its closed-form recovery
and is judged on more of the text, as exported files in ONNX Runtime (`--engine onnx`) or, minutes faster, as the same
quantized weights in PyTorch (`--engine pytorch`, on a GPU where there is one). What is ranked is the KL to the dense
model. A row is written as soon as it is measured and never measured again, so a run that was stopped goes on; other
models' rows stay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from espalier_builder.artifact.file_tree import file_tree
from espalier_builder.contracts import (
    Pruning,
    PruningMethod,
    Quantization,
    Recipe,
    digest_of_json,
    recipe_digest,
    recipe_name,
)
from espalier_builder.device import choose_device
from espalier_builder.jobs import SENSITIVITY_FILE, Model, run_build, run_sensitivity_job
from espalier_builder.process import keep_freed_memory
from espalier_builder.stages.cache import StageCache
from espalier_builder.text_inputs import TextSettings, TextSource

Q8 = Quantization("rtn", 8, 128, True, 4)
Q4_SMALL = Quantization("rtn", 4, 32, False, 4)
Q4 = Quantization("rtn", 4, 128, False, 4)
LEVELS: tuple[tuple[PruningMethod, float, Quantization], ...] = (
    ("none", 0.0, Q8),
    ("none", 0.0, Q4_SMALL),
    ("none", 0.0, Q4),
    ("cfsp-rel", 0.1, Q8),
    ("cfsp-rel", 0.2, Q8),
    ("cfsp-rel", 0.2, Q4_SMALL),
    ("cfsp-rel", 0.3, Q8),
    ("cfsp-rel", 0.3, Q4),
    ("flap", 0.1, Q8),
    ("flap", 0.2, Q8),
    ("shortgpt", 0.2, Q8),
    ("tail", 0.1, Q8),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", choices=("onnx", "pytorch"), default="onnx", help="of built levels; default: onnx")
    parser.add_argument("--sensitivity-tokens", type=int, default=1024)
    parser.add_argument("--eval-tokens", type=int, default=4096)
    parser.add_argument("--calibration-tokens", type=int, default=4096)
    parser.add_argument("--alignment", type=int, default=32)
    parser.add_argument("--cache", type=Path, default=Path(".espalier/cache"))
    options = parser.parse_args()
    keep_freed_memory()
    cache = StageCache(options.cache / "stages")
    device = choose_device("auto" if options.engine == "pytorch" else "cpu")
    model = Model(options.model, digest_of_json(file_tree(options.model, "model")), device)
    text = TextSettings(
        calibration=source(options.calibration),
        evaluation=source(options.eval),
        calibration_tokens=options.calibration_tokens,
        evaluation_tokens=options.eval_tokens,
        sequence_length=512,
        seed=0,
    )
    recipes = [recipe(method, share, grid, options.alignment) for method, share, grid in LEVELS]
    out = options.out / "ranking.json"
    models: dict[str, Any] = json.loads(out.read_text("utf8"))["models"] if out.exists() else {}
    table = models.setdefault(options.model.stem, described(options, device))
    if not table["rows"]:
        bare = [replace(each, pruning=replace(each.pruning, refit=False)) for each in recipes]
        told = judged(model, bare, replace(text, evaluation_tokens=options.sensitivity_tokens), cache)
        built = judged(model, recipes, text, cache) if options.engine == "pytorch" else [None] * len(recipes)
        table["rows"] = [
            {"variant": recipe_name(each), "sensitivityKl": before, "builtKl": after}
            for each, before, after in zip(recipes, told, built, strict=True)
        ]
    for each, row in zip(recipes, table["rows"], strict=True):
        if row["builtKl"] is None:
            row["builtKl"] = built_kl(model, each, text, cache)
            print(json.dumps(row), flush=True)
            write(out, models)
    write(out, models)


def described(options: argparse.Namespace, device: str) -> dict[str, Any]:
    """A model's table, without rows."""
    named = f"--model {options.model.name} --alignment {options.alignment} --engine {options.engine}"
    tokens = f"--sensitivity-tokens {options.sensitivity_tokens} --eval-tokens {options.eval_tokens}"
    texts = f"--calibration {options.calibration.name} --eval {options.eval.name}"
    drawn = f"--calibration-tokens {options.calibration_tokens}"
    return {
        "command": f"python builder/bench/ranking.py {named} {texts} {tokens} {drawn}",
        "machine": torch.cuda.get_device_name()
        if device == "cuda"
        else f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
        "engine": "ONNX Runtime" if options.engine == "onnx" else "PyTorch",
        "sensitivityTokens": options.sensitivity_tokens,
        "evaluationTokens": options.eval_tokens,
        "calibrationTokens": options.calibration_tokens,
        "rows": [],
    }


def write(out: Path, models: dict[str, Any]) -> None:
    """All models' tables, as far as they are measured, and the page."""
    document = {"models": models, "goals": [goal for name, table in models.items() for goal in goals(name, table)]}
    out.write_text(json.dumps(document, indent=2) + "\n", "utf8")
    out.with_suffix(".md").write_text(page(document), "utf8")


def source(path: Path) -> TextSource:
    return TextSource(path, digest_of_json(file_tree(path, "dataset")))


def recipe(method: PruningMethod, share: float, grid: Quantization, alignment: int) -> Recipe:
    return Recipe(Pruning(method, share, alignment, method.startswith(("cfsp", "flap"))), grid)


def judged(model: Model, recipes: list[Recipe], text: TextSettings, cache: StageCache) -> list[float]:
    """The KL that a sensitivity job gives each recipe."""
    folder = Path(tempfile.mkdtemp())
    try:
        run_sensitivity_job(model, tuple(recipes), text, cache, folder / "out", lambda *_: None)
        report = json.loads((folder / "out" / SENSITIVITY_FILE).read_text("utf8"))
    finally:
        shutil.rmtree(folder)
    quality = {candidate["recipeDigest"]: candidate["quality"]["kl"] for candidate in report["candidates"]}
    return [quality[recipe_digest(each)] for each in recipes]


def built_kl(model: Model, built: Recipe, text: TextSettings, cache: StageCache) -> float:
    folder = Path(tempfile.mkdtemp())
    try:
        report = run_build(model, built, text, cache, folder / "out", lambda *_: None).report
    finally:
        shutil.rmtree(folder)
    kl: float = report["stages"][-1]["quality"]["kl"]
    return kl


def goals(name: str, table: dict[str, Any]) -> list[dict[str, Any]]:
    pairs = [(row["sensitivityKl"], row["builtKl"]) for row in table["rows"] if row["builtKl"] is not None]
    named = (("Spearman's", spearman), ("Kendall's", kendall)) if len(pairs) > 1 else ()
    return [
        {"name": f"{name}: {whose} rank correlation", "value": round(rank(pairs), 3), "goal": "told", "met": True}
        for whose, rank in named
    ]


def page(document: dict[str, Any]) -> str:
    lines = [
        "# How sensitivity ranks what is built",
        "",
        "KL to the dense model in nats. Rows: [ranking.json](ranking.json).",
    ]
    for name, table in document["models"].items():
        tokens = (table["sensitivityTokens"], table["evaluationTokens"], table["calibrationTokens"])
        lines += ["", f"## {name}", "", f"`{table['command']}`", f"on {table['machine']}, {table['date']}.", ""]
        lines += [
            f"`sensitivity`: the job without recovery on {tokens[0]} tokens. `built`: with it, {table['engine']} on"
        ]
        lines += [f"{tokens[1]} tokens. Calibrated on {tokens[2]}.", "", "| variant | sensitivity | built |"]
        lines += ["| --- | --- | --- |"]
        lines += [
            f"| {row['variant']} | {row['sensitivityKl']:.4f} | {row['builtKl']:.4f} |"
            for row in sorted(table["rows"], key=lambda row: row["sensitivityKl"])
            if row["builtKl"] is not None
        ]
        lines += [
            "",
            *(f"- {goal['name']}: {goal['value']}" for goal in document["goals"] if goal["name"].startswith(name)),
        ]
    return "\n".join(lines) + "\n"


def spearman(pairs: list[tuple[float, float]]) -> float:
    """`1 - 6 sum(d^2) / (n (n^2 - 1))` (Spearman 1904), values without ties."""
    firsts, seconds = (sorted(column) for column in zip(*pairs, strict=True))
    squares = sum((firsts.index(first) - seconds.index(second)) ** 2 for first, second in pairs)
    return 1 - 6 * squares / (len(pairs) * (len(pairs) ** 2 - 1))


def kendall(pairs: list[tuple[float, float]]) -> float:
    """Concordant less discordant pairs over all of them (Kendall 1938), values without ties."""
    signs = [1 if (a[0] - b[0]) * (a[1] - b[1]) > 0 else -1 for a, b in combinations(pairs, 2)]
    return sum(signs) / len(signs)


if __name__ == "__main__":
    main()
