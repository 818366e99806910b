"""What it costs that a smaller level is a part of the larger one: docs/measurements/nested.{md,json}.

    make bench-nested DATA=../shared/data

DATA holds models/stories260K, models/babyllama-1M and text/*.jsonl. Neurons are ordered once, by `cfsp-rel`'s scores on
the dense model, and every level keeps the first of them, so what a smaller level has is stored in the larger one. A
device steps down without a download, if weights are the same too: as they were in the dense model, or as the largest
level was refitted. Independent levels are chosen, and solved again, each for itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import Pruning
from espalier_builder.process import keep_freed_memory
from espalier_builder.prune.apply import choose_cut, cut_out
from espalier_builder.prune.budget import allocate
from espalier_builder.prune.cfsp import OUR_CONTRAST, coarse_importance
from espalier_builder.prune.cut import Cut, whole
from espalier_builder.prune.neurons import Calibration, all_scores, ffn_budget, top
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import document_windows
from measurements import engine_of, engines, keep_row, read_rows, write_measurements
from quantized import perplexity

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
        known = read_rows(file)
        checkpoint = load_cached(options.data / "models" / name, StageCache(options.work / "cache"))
        text = read_documents(options.data / "text" / "tinystories-train.jsonl", "calibration")
        drawn = calibration_rows(checkpoint.tokenizer, text, length=length, tokens=128 * length, seed=0)
        valid = read_documents(options.data / "text" / "tinystories-valid.jsonl", "evaluation")
        windows = document_windows(checkpoint.tokenizer, valid, length=length).windows
        done = {(row["sparsity"], row["levels"]) for row in known}
        for share, levels, model in variants(checkpoint.model, drawn, alignment, done):
            row = {"model": name, "sparsity": share, "levels": levels, "engine": engine_of(checkpoint.model.device)}
            keep_row({**row, "perplexity": round(perplexity(model, windows), 4)}, known, file)
        rows += known
    write_measurements(
        options.out,
        "nested",
        page,
        command=COMMAND,
        machine=engines(rows),
        rows=rows,
    )


def variants(
    model: DecoderModel, rows: Tensor, alignment: int, done: set[tuple[float, str]]
) -> Iterator[tuple[float, str, DecoderModel]]:
    """(sparsity, how levels hang together, model): the dense one, then each level in each way that is not `done`."""
    calibration = Calibration(rows, collect_statistics(model, rows))

    def cut(method: str, share: float) -> Cut:
        name, _, refit = method.partition("+")
        asked = Pruning.from_json({"method": name, "sparsity": share, "alignment": alignment, "refit": bool(refit)})
        return choose_cut(model, asked, calibration)

    scores = all_scores(model, "cfsp-rel", calibration, lambda _: None)
    importance = coarse_importance(calibration.statistics.angles, OUR_CONTRAST)

    def nested(share: float) -> Cut:
        widths = allocate(ffn_budget(model), share, importance, alignment)
        return replace(whole(model), neurons=tuple(map(top, scores, widths)))

    largest = cut("cfsp-rel+refit", LEVELS[0])
    ways: list[tuple[str, Callable[[float], Cut]]] = [
        ("nested, dense weights", nested),
        ("nested, the largest refitted", lambda share: part_of(largest, nested(share))),
        *((f"independent, {method}", partial(cut, method)) for method in INDEPENDENT),
    ]
    if (0.0, "dense") not in done:
        yield 0.0, "dense", model
    for share in LEVELS:
        for way, choose in ways:
            if (share, way) not in done:
                yield share, way, cut_out(model, choose(share)).model


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
        if not rows:
            lines += ["", f"{name}: not measured."]
            continue
        found = {(row["levels"], row["sparsity"]): f"{row['perplexity']:.4g}" for row in rows}
        ways = list(dict.fromkeys(row["levels"] for row in rows if row["levels"] != "dense"))
        lines += ["", f"## {name}, dense {found['dense', 0.0]}", ""]
        lines += [f"| levels | {' | '.join(f'{at:.0%} gone' for at in LEVELS)} |", "|---" * (len(LEVELS) + 1) + "|"]
        lines += [f"| {way} | {' | '.join(found.get((way, at), 'not measured') for at in LEVELS)} |" for way in ways]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
