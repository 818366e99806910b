"""LLM-Barber from each start at each granularity: docs/measurements/barber.{md,json}.

    make bench-barber DATA=../shared/data [SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf]

DATA holds models/babyllama-1M and text/*.jsonl. Protocol and evaluation are those of compression.md. A row is written
under `--work` as soon as it is measured and never measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.device import choose_device, on_device
from espalier_builder.process import keep_freed_memory
from espalier_builder.prune.apply import cut_out
from espalier_builder.prune.cut import whole
from espalier_builder.prune.mask.barber import Granularity
from espalier_builder.prune.mask.choose import (
    BARBER,
    Start,
    barber_masks,
    magnitude_masks,
    sequential_masks,
)
from espalier_builder.prune.mask.pattern import Pattern
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import document_windows
from measurements import engine_of, engines, keep_row, read_rows, write_measurements
from quantized import perplexity

COMMAND = "make bench-barber DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
SMOL = "SmolLM2-135M-Instruct"
# (model, calibration and evaluation text, rows, tokens a row, documents evaluated)
MODELS = (
    (SMOL, ("wikitext2-a.jsonl", "wikitext2-b.jsonl"), 16, 1024, 3),
    ("babyllama-1M", ("tinystories-train.jsonl", "tinystories-valid.jsonl"), 128, 256, None),
)
SHARE = 0.5
# (start, whether what its new masks leave is solved again)
VARIANTS: tuple[tuple[Start, bool], ...] = (
    ("magnitude", False),
    ("wanda", False),
    ("sparsegpt", False),
    ("sparsegpt", True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--work", type=Path, required=True, help="rows, and the checkpoints that were read")
    parser.add_argument("--out", type=Path, required=True, help="the folder of barber.md and barber.json")
    options = parser.parse_args()
    keep_freed_memory()
    options.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for name, texts, count, length, documents in MODELS:
        file = options.work / f"{name}.json"
        known = read_rows(file)
        model = options.smol if name == SMOL else options.data / "models" / name
        if model is not None and model.exists():
            checkpoint = on_device(load_cached(model, StageCache(options.work / "cache")), choose_device("auto"))
            folder = options.data / "text"
            text = read_documents(folder / texts[0], "calibration")
            drawn = calibration_rows(checkpoint.tokenizer, text, length=length, tokens=count * length, seed=0)
            judged = read_documents(folder / texts[1], "evaluation")[:documents]
            windows = document_windows(checkpoint.tokenizer, judged, length=length).windows

            def judge(masked: DecoderModel, windows: Any = windows) -> float:
                return round(perplexity(masked, windows), 4)

            for row in measured(checkpoint.model, drawn, judge, known):
                keep_row({"model": name, **row}, known, file)
                print(json.dumps(known[-1]), file=sys.stderr, flush=True)
        rows += known
    write_measurements(
        options.out,
        "barber",
        page,
        command=COMMAND,
        machine=engines(rows),
        rows=rows,
    )


def measured(
    model: DecoderModel, rows: Tensor, judge: Callable[[DecoderModel], float], known: list[dict[str, Any]]
) -> Any:
    """The rows that are lacking: each start by itself, and rebuilt at each granularity."""
    done = {(row["start"], row["granularity"], row["solvedAgain"]) for row in known}
    pattern = Pattern(SHARE)
    engine = engine_of(model.device)
    for start in get_args(Start):
        asked = [each for each in variants_of(start) if (start, *each) not in done]
        if not asked:
            continue
        if start == "magnitude":
            masks = magnitude_masks(model, pattern, everywhere=False)
        else:
            masks = sequential_masks(model, rows, pattern, start, lambda _: None)
        zeros = count_zeros(masks)
        for granularity, again in asked:
            rebuilt = masks
            if granularity is not None:
                settings = replace(BARBER[start], granularity=granularity, solve_again=again)
                rebuilt = barber_masks(model, masks, rows, pattern, settings, lambda _: None)
            if count_zeros(rebuilt) != zeros:
                sys.exit(f"{start}, {granularity}: {count_zeros(rebuilt)} zeros instead of {zeros}")
            masked = cut_out(model, replace(whole(model), tensors=rebuilt)).model
            row = {"start": start, "granularity": granularity, "solvedAgain": again}
            yield row | {"perplexity": judge(masked), "engine": engine}


def variants_of(start: Start) -> list[tuple[Granularity | None, bool]]:
    """(granularity, solved again); None: the start's own mask."""
    again = [each for name, each in VARIANTS if name == start]
    return [(None, False), *((granularity, each) for each in again for granularity in get_args(Granularity))]


def count_zeros(masks: dict[str, Tensor]) -> int:
    return sum(int((mask == 0).sum()) for mask in masks.values())


def page(document: dict[str, Any]) -> str:
    lines = ["# LLM-Barber by start and granularity", ""]
    lines += [f"`{document['command']}` on {document['date']} ({document['machine']}).", ""]
    lines += [
        f"Perplexity at {SHARE:.0%} of every matrix, by the protocol of compression.md; at most a tenth of the pairs",
        "that would gain change places. The number of zeros stays that of the start to the last weight; what",
        "`barber-...` is in a recipe is in italics. Solved again: SparseGPT reconstructs what new masks leave; else",
        "weights come back with their dense values among weights that were moved to do without them.",
    ]
    for name, *_ in MODELS:
        rows = [row for row in document["rows"] if row["model"] == name]
        found = {(row["start"], row["granularity"], row["solvedAgain"]): row["perplexity"] for row in rows}
        if not found:
            continue
        lines += ["", f"## {name}", "", "| start | by itself | block | layer | row |", "|---|---|---|---|---|"]
        for start, again in VARIANTS:
            cells = []
            for granularity in (None, *get_args(Granularity)):
                value = found.get((start, granularity, again and granularity is not None))
                cell = "not measured" if value is None else f"{value:.4g}"
                chosen = (granularity, again) == (BARBER[start].granularity, BARBER[start].solve_again)
                cells.append(f"*{cell}*" if chosen else cell)
            lines.append(f"| {start}{', solved again' if again else ''} | {' | '.join(cells)} |")
        notes = dict.fromkeys(row["note"] for row in rows if "note" in row)
        lines += ["", *notes] if notes else []
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
