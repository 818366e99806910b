"""How well the sensitivity job ranks variants before they are built: rank correlation with the built ones.

    python builder/bench/ranking.py --model DIR|FILE.gguf --calibration A.jsonl --eval B.jsonl --out docs/measurements

The job judges each candidate without recovery, on few tokens and by PyTorch; the built variant has its closed-form
recovery and is judged as exported files on more of the text. What is ranked is the KL to the dense model. A row is
written as soon as it is measured and never measured again, so a run that was stopped goes on.
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
    ("tail", 0.1, Q8),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sensitivity-tokens", type=int, default=1024)
    parser.add_argument("--eval-tokens", type=int, default=4096)
    parser.add_argument("--calibration-tokens", type=int, default=4096)
    parser.add_argument("--alignment", type=int, default=32)
    parser.add_argument("--cache", type=Path, default=Path(".espalier/cache"))
    options = parser.parse_args()
    keep_freed_memory()
    cache = StageCache(options.cache / "stages")
    model = Model(options.model, digest_of_json(file_tree(options.model, "model")), choose_device("cpu"))
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
    found: dict[str, Any] = json.loads(out.read_text("utf8")) if out.exists() else {"rows": []}
    if not found["rows"]:
        judged = sensitivity(model, recipes, replace(text, evaluation_tokens=options.sensitivity_tokens), cache)
        found["rows"] = [{"variant": recipe_name(built), "sensitivityKl": kl, "builtKl": None} for built, kl in judged]
    for built, row in zip(recipes, found["rows"], strict=True):
        if row["builtKl"] is None:
            row["builtKl"] = built_kl(model, built, text, cache)
            print(json.dumps(row), flush=True)
            out.write_text(json.dumps(found, indent=2) + "\n", "utf8")
    found |= summary(found["rows"], options)
    out.write_text(json.dumps(found, indent=2) + "\n", "utf8")
    (options.out / "ranking.md").write_text(page(found), "utf8")
    print(json.dumps(found["goals"]))


def source(path: Path) -> TextSource:
    return TextSource(path, digest_of_json(file_tree(path, "dataset")))


def recipe(method: PruningMethod, share: float, grid: Quantization, alignment: int) -> Recipe:
    return Recipe(Pruning(method, share, alignment, method.startswith("cfsp")), grid)


def sensitivity(
    model: Model, recipes: list[Recipe], text: TextSettings, cache: StageCache
) -> list[tuple[Recipe, float]]:
    """The KL that the job gives each candidate without recovery."""
    bare = [replace(built, pruning=replace(built.pruning, refit=False)) for built in recipes]
    folder = Path(tempfile.mkdtemp())
    try:
        run_sensitivity_job(model, tuple(bare), text, cache, folder / "out", lambda *_: None)
        report = json.loads((folder / "out" / SENSITIVITY_FILE).read_text("utf8"))
    finally:
        shutil.rmtree(folder)
    quality = {candidate["recipeDigest"]: candidate["quality"]["kl"] for candidate in report["candidates"]}
    return [(built, quality[recipe_digest(judged)]) for built, judged in zip(recipes, bare, strict=True)]


def built_kl(model: Model, built: Recipe, text: TextSettings, cache: StageCache) -> float:
    folder = Path(tempfile.mkdtemp())
    try:
        report = run_build(model, built, text, cache, folder / "out", lambda *_: None).report
    finally:
        shutil.rmtree(folder)
    kl: float = report["stages"][-1]["quality"]["kl"]
    return kl


def summary(rows: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    pairs = [(row["sensitivityKl"], row["builtKl"]) for row in rows]
    named = (("Spearman's rank correlation", spearman(pairs)), ("Kendall's rank correlation", kendall(pairs)))
    return {
        "command": f"python builder/bench/ranking.py --model {options.model.name} --alignment {options.alignment} "
        f"--calibration {options.calibration.name} --eval {options.eval.name}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).date().isoformat(),
        "protocol": {
            "model": options.model.name,
            "sensitivityTokens": options.sensitivity_tokens,
            "evaluationTokens": options.eval_tokens,
            "calibrationTokens": options.calibration_tokens,
        },
        "goals": [{"name": name, "value": round(value, 3), "goal": "told", "met": True} for name, value in named],
    }


def page(found: dict[str, Any]) -> str:
    protocol = found["protocol"]
    rows = "".join(
        f"| {row['variant']} | {row['sensitivityKl']:.4f} | {row['builtKl']:.4f} |\n" for row in found["rows"]
    )
    values = "".join(f"- {goal['name']}: {goal['value']}\n" for goal in found["goals"])
    tokens = (protocol["sensitivityTokens"], protocol["evaluationTokens"], protocol["calibrationTokens"])
    return f"""# How sensitivity ranks what is built

Made by `{found["command"]}`
on {found["machine"]}, {found["date"]}. Rows: [ranking.json](ranking.json).

{protocol["model"]}. KL to the dense model in nats: by the sensitivity job without recovery on {tokens[0]} tokens,
and of the built files with their recovery on {tokens[1]}; calibrated on {tokens[2]}.

| variant | sensitivity | built |
| --- | --- | --- |
{rows}
{values}"""


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
