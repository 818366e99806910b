"""The level search on SmolLM2: docs/measurements/search.{md,json,svg}.

    make bench-search DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf

DATA holds text/wikitext2-{a,b}.jsonl. Trials lie under `--work` and are never judged twice: a search that was killed
goes on, and more `--trials` carry on.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from espalier_builder.cli import run
from espalier_builder.contracts import Recipe, recipe_name
from espalier_builder.search.front import cost, damage, knee, most_compressed, pareto_front, parse_floor
from espalier_builder.search.search import PLOT_FILE, TRIALS_FILE
from measurements import write_measurements

COMMAND = "make bench-search DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
FLOOR = "agreement>=0.75"
SPACE = ("--methods", "cfsp-rel+refit,shortgpt+refit", "--most-sparsity", "0.3")
# Less text than the command's own defaults: on one core of a CPU a trial is mostly GPTQ's passes over it.
TEXT = ("--calibration-tokens", "4096", "--eval-tokens", "2048", "--sequence-length", "512")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, required=True, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--trials", type=int, default=28, help="recipes judged, earlier runs' included")
    parser.add_argument("--work", type=Path, required=True, help="trials and finished stages")
    parser.add_argument("--out", type=Path, required=True, help="the folder of search.md, search.json and search.svg")
    options = parser.parse_args()
    text, folder = options.data / "text", options.work / "search"
    asked = ["search", "--model", str(options.smol), "--floor", FLOOR, *SPACE, *TEXT]
    asked += ["--calibration", str(text / "wikitext2-a.jsonl"), "--eval", str(text / "wikitext2-b.jsonl")]
    asked += ["--trials", str(options.trials), "--cache", str(options.work / "cache"), "--out", str(folder)]
    code = run(asked)
    if code != 0:
        sys.exit(code)
    report = json.loads((folder / TRIALS_FILE).read_text(encoding="utf8"))
    shutil.copyfile(folder / PLOT_FILE, options.out / "search.svg")
    write_measurements(
        options.out,
        "search",
        page,
        command=COMMAND,
        machine=f"{platform.machine()}, PyTorch {torch.__version__}",
        rows=rows_of(report),
        protocol=report["protocol"],
        dense=report["dense"],
        floor=FLOOR,
    )


def rows_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a trial, in the order in which they were judged."""
    candidates, floor = report["candidates"], parse_floor(FLOOR)
    front, best = pareto_front(candidates), most_compressed(candidates, floor)
    middle = knee(front)
    return [
        {
            "recipe": recipe_name(Recipe.from_json(each["recipe"])),
            "weightBytes": cost(each),
            "kl": damage(each),
            "klHalfWidth": each["quality"]["klHalfWidth"],
            "agreement": each["quality"]["agreement"],
            "perplexity": each["quality"]["perplexity"],
            "seconds": round(each["seconds"], 1),
            "front": each in front,
            "lightestAboveFloor": each is best,
            "knee": each is middle,
        }
        for each in candidates
    ]


def page(document: dict[str, Any]) -> str:
    rows, protocol = document["rows"], document["protocol"]
    front = sorted((row for row in rows if row["front"]), key=lambda row: row["weightBytes"])
    lines = ["# The level search on SmolLM2-135M-Instruct", ""]
    lines += [f"`{document['command']}` on {document['date']} ({document['machine']}).", ""]
    lines += [
        f"`espalier-builder search --floor '{document['floor']}' {' '.join((*SPACE, *TEXT))}`: {len(rows)} levels",
        f"judged on {protocol['tokens']:,} tokens of WikiText-2 b (dense perplexity "
        f"{document['dense']['perplexity']:.2f}), calibrated on WikiText-2 a.",
        "No level is lighter and better than one of these; all that were judged are in search.json.",
        "",
        "![every level by weight and KL, the front joined](search.svg)",
        "",
        "| level | weights | KL | agreement | perplexity | |",
        "|---|---|---|---|---|---|",
    ]
    for row in front:
        marks = [
            name for key, name in (("lightestAboveFloor", "lightest above the floor"), ("knee", "knee")) if row[key]
        ]
        lines.append(
            f"| `{row['recipe']}` | {row['weightBytes'] / 1e6:.1f} MB | {row['kl']:.4f} ± {row['klHalfWidth']:.4f} "
            f"| {row['agreement']:.1%} | {row['perplexity']:.2f} | {', '.join(marks)} |"
        )
    spent = sum(row["seconds"] for row in rows)
    lines += [
        "",
        f"Quantizing and judging took {spent / 60:.0f} minutes of the run, {spent / len(rows):.0f} s a level.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
