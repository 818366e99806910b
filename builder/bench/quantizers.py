"""Perplexity of quantized weights, by quantizer and grid: docs/measurements/quantizers.{md,json}.

    make bench-quantizers DATA=../shared/data [SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf]

DATA holds models/stories260K, models/babyllama-1M and text/*.jsonl. PyTorch, fp32; embedding and head at 8 bits. The
peer, llama.cpp's Q4_K_M, is made by llama.cpp's own program and read back into the same evaluation. A row
is written under `--work` as soon as it is measured and never measured again, so a run that was stopped goes on, and the
page is made of all that is there, whichever machine measured it. Several processes may share the work: `--only` says
which grids, and each has a folder of its own under the one that the page is made from.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.device import choose_device, on_device
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.process import keep_freed_memory
from espalier_builder.quantize.weight_format import variant_formats
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows, control_rows
from espalier_builder.text.windows import Window, document_windows
from measurements import engine_of, engines, keep_row, read_rows, write_measurements
from quantized import Quantizer, perplexity

COMMAND = "make bench-quantizers DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
BLOCKS = (128, 32, 64, 256)
FORMATS = {bits: tuple(f"q{bits}b{block}{zeros}" for block in BLOCKS for zeros in ("a", "")) for bits in (4, 8)}
METHODS = ("rtn", "gptq", "awq", "awq-gptq", "smoothquant", "qat")
# In order of worth, so that a run that is stopped has the rows that matter.
PLAIN = tuple(f"{method}-{key}" for bits in (4, 8) for key in FORMATS[bits] for method in METHODS)
CACHES = ("dense-kv8", "rtn-q8b128-kv8", "gptq-q4b128a-kv8")
MIXED = (
    *(f"gptq-q{average}mb128a" for average in (5, 6, 4.5, 7, 5.5)),
    # 4.07: as many bytes as the peer takes.
    *(f"gptq-q{average}mb32a" for average in (4.07, 5, 6, 7)),
)
GRIDS = ("dense", *CACHES, *MIXED, *PLAIN)
PEER = "llama.cpp Q4_K_M"


@dataclass(frozen=True, slots=True)
class Bench:
    """One table. `published`: (what the authors' code was asked, perplexity by the documents' protocol). `goals`: grid
    and the number to reach on `joined` windows, None: on documents."""

    name: str
    text: tuple[str, str]
    rows: int
    length: int
    documents: int | None
    joined: int | None
    published: tuple[tuple[str, float], ...]
    goals: tuple[tuple[str, float], ...]


SMOL = "SmolLM2-135M-Instruct"
TINY_STORIES = ("tinystories-train.jsonl", "tinystories-valid.jsonl")
BENCHES = (
    Bench(
        name=SMOL,
        text=("wikitext2-a.jsonl", "wikitext2-b.jsonl"),
        rows=16,
        length=1024,
        documents=3,
        joined=16,
        published=(("rtn, group 64, asymmetric", 33.54), ("gptq, group 64, asymmetric, no act-order", 36.09)),
        goals=(("gptq-q4b128a", 30.1),),
    ),
    Bench(
        name="babyllama-1M",
        text=TINY_STORIES,
        rows=128,
        length=256,
        documents=None,
        joined=None,
        published=(
            ("gptq, group 128", 2.006),
            ("rtn, group 128", 2.054),
            ("gptq, group 32", 1.991),
            ("rtn, group 32", 2.015),
        ),
        goals=(("gptq-q4b128a", 2.006), ("gptq-q4b32a", 1.991)),
    ),
    Bench(
        name="stories260K",
        text=TINY_STORIES,
        rows=128,
        length=512,
        documents=None,
        joined=None,
        published=(("gptq, group 128", 3.91), ("rtn, group 128", 4.067)),
        goals=(("gptq-q4b128a", 3.91),),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--work", type=Path, required=True, help="rows, and the checkpoints that were read")
    parser.add_argument("--llama-quantize", type=Path, help="llama.cpp's program; default: the peer isn't measured")
    parser.add_argument("--only", default="", help="only the grids that this regular expression matches, e.g. gptq-q4")
    parser.add_argument("--out", type=Path, required=True, help="the folder of quantizers.md and quantizers.json")
    options = parser.parse_args()
    keep_freed_memory()
    options.work.mkdir(parents=True, exist_ok=True)
    for bench in BENCHES:
        model = options.smol if bench.name == SMOL else options.data / "models" / bench.name
        if model is not None and model.exists():
            wanted = [grid for grid in GRIDS if re.match(options.only, grid)]
            measure(bench, wanted, model, options.data / "text", options.work)
            if bench.name == SMOL and options.llama_quantize is not None:
                measure_peer(bench, options.llama_quantize, model, options.data / "text", options.work)
    rows = [row for bench in BENCHES for row in merged(options.work, bench.name)]
    write_measurements(
        options.out,
        "quantizers",
        page,
        command=COMMAND,
        machine=engines(rows),
        rows=rows,
        goals=[goal for bench in BENCHES for goal in goals(bench, rows)],
    )


def merged(work: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a model in `work` and its folders, each grid once."""
    rows = [row for file in sorted(work.glob(f"**/{name}.json")) for row in read_rows(file)]
    return list({row["grid"]: row for row in reversed(rows)}.values())[::-1]


def measure(bench: Bench, wanted: list[str], model: Path, text: Path, work: Path) -> None:
    """Adds the rows of the `wanted` grids that the table lacks."""
    file = work / f"{bench.name}.json"
    rows = read_rows(file)
    missing = [grid for grid in wanted if grid not in {row["grid"] for row in rows}]
    if not missing:
        return
    checkpoint = on_device(load_cached(model, StageCache(work / "cache")), choose_device("auto"))
    calibration = calibration_rows(
        checkpoint.tokenizer,
        read_documents(text / bench.text[0], "calibration"),
        length=bench.length,
        tokens=bench.rows * bench.length,
        seed=0,
    )
    evaluated = evaluation_of(bench, checkpoint, text)
    quantizer = Quantizer(checkpoint.model, calibration, control_rows(checkpoint.tokenizer, calibration))
    for grid in missing:
        started = time.perf_counter()
        made = quantizer.make(grid)
        seconds = time.perf_counter() - started
        formats = variant_formats(made.formats, checkpoint.model.config.hidden_size)
        row = {
            "model": bench.name,
            "grid": grid,
            **{name: round(made.perplexity(windows), 4) for name, windows in evaluated.items()},
            "weightBytes": lay_out(spec_of(checkpoint.model), formats).total_bytes,
            "secondsToQuantize": round(seconds, 1),
            "engine": engine_of(checkpoint.model.device),
        }
        if made.curve:
            row["curve"] = [asdict(point) for point in made.curve]
        print(json.dumps(row), file=sys.stderr, flush=True)
        keep_row(row, rows, file)


def measure_peer(bench: Bench, program: Path, model: Path, text: Path, work: Path) -> None:
    """llama.cpp's own 4 bits of the GGUF file `model`, as PyTorch computes with what they decode to."""
    file = work / f"{bench.name}.json"
    rows = read_rows(file)
    if PEER in {row["grid"] for row in rows}:
        return
    made = work / "Q4_K_M.gguf"
    started = time.perf_counter()
    asked = [program, "--allow-requantize", model, made, "Q4_K_M"]
    subprocess.run(asked, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    seconds = time.perf_counter() - started
    checkpoint = on_device(load_cached(made, StageCache(work / "cache")), choose_device("auto"))
    row = {
        "model": bench.name,
        "grid": PEER,
        **{
            name: round(perplexity(checkpoint.model, windows), 4)
            for name, windows in evaluation_of(bench, checkpoint, text).items()
        },
        "weightBytes": sum(int(tensor.n_bytes) for tensor in GGUFReader(made).tensors),
        "secondsToQuantize": round(seconds, 1),
        "engine": engine_of(checkpoint.model.device),
    }
    print(json.dumps(row), file=sys.stderr, flush=True)
    keep_row(row, rows, file)


def evaluation_of(bench: Bench, checkpoint: Checkpoint, text: Path) -> dict[str, tuple[Window, ...]]:
    """What is evaluated, by the name of its figure in a row."""
    documents = read_documents(text / bench.text[1], "evaluation")
    windows = document_windows(checkpoint.tokenizer, documents[: bench.documents], length=bench.length).windows
    if bench.joined is None:
        return {"perplexity": windows}
    joined = joined_windows(checkpoint, documents, bench.length, bench.joined)
    return {"perplexity": windows, "joinedPerplexity": joined}


def joined_windows(checkpoint: Checkpoint, documents: list[str], length: int, count: int) -> tuple[Window, ...]:
    """The first `count` windows of all documents joined by token 0, every token but the first of all scored."""
    stream: list[int] = []
    for document in documents:
        stream += [0] if stream else []
        stream += checkpoint.tokenizer(document, add_special_tokens=False).input_ids
    starts = range(0, count * length, length)
    cuts = [torch.tensor(stream[start : start + length + 1]) for start in starts]
    return tuple(Window(inputs=cut[:-1], positions=torch.arange(len(cut) - 1), targets=cut[1:]) for cut in cuts)


def goals(bench: Bench, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each grid's number to reach, and the peer's for the best of ours that takes no more bytes."""
    own = {row["grid"]: row for row in rows if row["model"] == bench.name}
    found = [_goal(f"{bench.name}: perplexity of {grid}", own[grid], goal) for grid, goal in bench.goals if grid in own]
    if PEER in own:
        peer = own[PEER]
        small = [row for row in own.values() if row is not peer and row["weightBytes"] <= peer["weightBytes"]]
        best = min(small, key=_figure)
        found.append(_goal(f"{bench.name}: {best['grid']} beside {PEER}", best, _figure(peer)))
    return found


def _goal(name: str, row: dict[str, Any], goal: float) -> dict[str, Any]:
    return {"name": name, "value": _figure(row), "goal": goal, "met": _figure(row) <= goal}


def _figure(row: dict[str, Any]) -> float:
    """By which goals are stated: of joined windows where there are any."""
    value: float = row.get("joinedPerplexity", row["perplexity"])
    return value


def page(document: dict[str, Any]) -> str:
    lines = [
        "# Quantizers",
        "",
        f"`{document['command']}` on {document['date']} ({document['machine']}).",
        "",
        "PyTorch, fp32, every matrix at the grid that is exported: `q4b128a` has 4 bits, blocks of 128, asymmetric;",
        "`q5m` 4 or 8 bits, matrix by matrix, 5 on average. Embedding and head at 8 bits. `kv8`: keys and values",
        "rounded to int8 ([how](kv-cache.md)). `documents`: whole documents, each in windows of its own, as published",
        "code is evaluated; SmolLM2: the first three of WikiText-2 b. `joined`: the first 16 windows of 1,024 tokens",
        "of all of them joined by token 0, by which the goal is stated. Calibration: 16 rows of 1,024 tokens of",
        "WikiText-2 a, small models: 128 rows of TinyStories. `llama.cpp Q4_K_M`: made by llama-quantize, which takes",
        "5 and 8 bits in blocks of 32 for rows that 256 doesn't divide, all of SmolLM2's; no importance matrix.",
    ]
    for bench in BENCHES:
        rows = [row for row in document["rows"] if row["model"] == bench.name]
        if not rows:
            continue
        lines += ["", f"## {bench.name}", "", "| weights | documents | joined | weights file | s to quantize |"]
        lines += ["|---|---|---|---|---|"]
        lines += [_row(row) for row in sorted(rows, key=_order)]
        lines += [f"| {name}, published | {value:g} | | | |" for name, value in bench.published]
        lines += trained(rows)
        lines += noted(rows)
        absent = [grid for grid in GRIDS if grid not in {row["grid"] for row in rows}]
        lines += ["", f"Not measured: {', '.join(absent)}."] if absent else []
    lines += ["", "## Goals", "", "| goal | value | to reach | met |", "|---|---|---|---|"]
    for goal in document["goals"]:
        lines.append(f"| {goal['name']} | {goal['value']:.3f} | {goal['goal']:g} | {'yes' if goal['met'] else 'no'} |")
    return "\n".join(lines) + "\n"


def trained(rows: list[dict[str, Any]]) -> list[str]:
    """What training on the grid changed, where its curve was kept."""
    curves = {row["grid"]: row["curve"] for row in rows if "curve" in row}
    if not curves:
        return []
    lines = ["", "Training on the grid, divergence from the dense model on held-out rows, nats a token:", ""]
    lines += ["| weights | before | lowest | after steps |", "|---|---|---|---|"]
    for grid, curve in curves.items():
        best = min(curve, key=lambda point: point["held_out_loss"])
        lines.append(f"| {grid} | {curve[0]['held_out_loss']:.4f} | {best['held_out_loss']:.4f} | {best['step']} |")
    return lines


def noted(rows: list[dict[str, Any]]) -> list[str]:
    """Each note with all grids that have it."""
    notes: dict[str, list[str]] = {}
    for row in rows:
        if "note" in row:
            notes.setdefault(row["note"], []).append(row["grid"])
    return [line for note, grids in notes.items() for line in ("", f"{', '.join(grids)}: {note}.")]


def _order(row: dict[str, Any]) -> tuple[bool, int, float]:
    """The dense model, then by size, then by what is best at it."""
    return row["grid"] != "dense", -row["weightBytes"], row["perplexity"]


def _row(row: dict[str, Any]) -> str:
    joined = f"{row['joinedPerplexity']:.2f}" if "joinedPerplexity" in row else ""
    size = f"{row['weightBytes'] / 1e6:.1f} MB"
    return f"| {row['grid']} | {row['perplexity']:.4g} | {joined} | {size} | {row['secondsToQuantize']} |"


if __name__ == "__main__":
    main()
