"""What it costs that a smaller level is a part of the larger one: docs/measurements/nested.{md,json}.

    make bench-nested DATA=../shared/data

DATA holds models/stories260K, models/babyllama-1M and text/*.jsonl. Neurons are ordered once, by `cfsp-rel`'s scores on
the dense model, and every level keeps the first of them, so what a smaller level has is stored in the larger one. A
device steps down without a download, if weights are the same too: as they were in the dense model, or as the largest
level was refitted. Independent levels are chosen, and solved again, each for itself.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import Pruning
from espalier_builder.process import keep_freed_memory
from espalier_builder.prune.apply import choose_cut, cut_out
from espalier_builder.prune.cut import Cut
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import document_windows
from quantizers import perplexity

COMMAND = "make bench-nested DATA=../shared/data"
# (model, tokens a row, alignment); 128 rows calibrate.
MODELS = (("babyllama-1M", 256, 8), ("stories260K", 512, 4))
LEVELS = (0.15, 0.25, 0.35)
INDEPENDENT = ("obs", "cfsp-rel+refit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="rows, and the checkpoints that were read")
    parser.add_argument("--out", type=Path, required=True, help="the folder of nested.md and nested.json")
    options = parser.parse_args()
    keep_freed_memory()
    options.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for name, length, alignment in MODELS:
        file = options.work / f"{name}.json"
        if not file.is_file():
            checkpoint = load_cached(options.data / "models" / name, StageCache(options.work / "cache"))
            text = read_documents(options.data / "text" / "tinystories-train.jsonl", "calibration")
            drawn = calibration_rows(checkpoint.tokenizer, text, length=length, tokens=128 * length, seed=0)
            valid = read_documents(options.data / "text" / "tinystories-valid.jsonl", "evaluation")
            windows = document_windows(checkpoint.tokenizer, valid, length=length).windows
            found = [
                {"model": name, "sparsity": share, "levels": levels, "perplexity": round(perplexity(model, windows), 4)}
                for share, levels, model in variants(checkpoint.model, drawn, alignment)
            ]
            file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf8")
        rows += json.loads(file.read_text(encoding="utf8"))
    document = {
        "command": COMMAND,
        "machine": f"PyTorch {torch.__version__}, {platform.machine()}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rows": rows,
        "goals": [],
    }
    (options.out / "nested.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf8")
    (options.out / "nested.md").write_text(page(document), encoding="utf8")


def variants(model: DecoderModel, rows: Tensor, alignment: int) -> list[tuple[float, str, DecoderModel]]:
    """(sparsity, how levels hang together, model): the dense one, then each level in each way."""
    calibration = Calibration(rows, collect_statistics(model, rows))

    def cut(method: str, share: float) -> Cut:
        name, _, refit = method.partition("+")
        asked = Pruning.from_json({"method": name, "sparsity": share, "alignment": alignment, "refit": bool(refit)})
        return choose_cut(model, asked, calibration)

    found: list[tuple[float, str, DecoderModel]] = [(0.0, "dense", model)]
    largest = cut("cfsp-rel+refit", LEVELS[0])
    for share in LEVELS:
        chosen = cut("cfsp-rel", share)
        found.append((share, "nested, dense weights", cut_out(model, chosen).model))
        found.append((share, "nested, the largest refitted", cut_out(model, part_of(largest, chosen)).model))
        for method in INDEPENDENT:
            found.append((share, f"independent, {method}", cut_out(model, cut(method, share)).model))
    return found


def part_of(larger: Cut, smaller: Cut) -> Cut:
    """`smaller`, whose neurons are among those of `larger`, with `larger`'s weights."""
    tensors = dict(larger.tensors)
    for index, (held, kept) in enumerate(zip(larger.neurons, smaller.neurons, strict=True)):
        places = torch.searchsorted(held, kept)
        if not torch.equal(held[places.clamp(max=len(held) - 1)], kept):
            raise ValueError(f"layer {index} keeps neurons that the larger level lacks")
        name = f"model.layers.{index}.mlp.down_proj.weight"
        if name in tensors:
            tensors[name] = tensors[name][:, places]
    return replace(smaller, tensors=tensors)


def page(document: dict[str, Any]) -> str:
    lines = ["# Nested levels", "", f"`{document['command']}` on {document['date']} ({document['machine']}).", ""]
    lines += [
        "Perplexity on TinyStories, fp32. Nested: neurons in one order, by `cfsp-rel` on the dense model, each level"
    ]
    lines += ["the first of them, with the dense model's weights or those that the level of 15 % was refitted to."]
    for name, *_ in MODELS:
        rows = [row for row in document["rows"] if row["model"] == name]
        ways = list(dict.fromkeys(row["levels"] for row in rows if row["levels"] != "dense"))
        dense = next(row["perplexity"] for row in rows if row["levels"] == "dense")
        lines += [
            "",
            f"## {name}, dense {dense:.4g}",
            "",
            f"| levels | {' | '.join(f'{at:.0%} gone' for at in LEVELS)} |",
        ]
        lines += ["|---" * (len(LEVELS) + 1) + "|"]
        for way in ways:
            by_share = {row["sparsity"]: row["perplexity"] for row in rows if row["levels"] == way}
            lines.append(f"| {way} | {' | '.join(f'{by_share[share]:.4g}' for share in LEVELS)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
