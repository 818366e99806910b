"""Pruning methods at equal budgets, beside what their published code gives: docs/measurements/compression.{md,json}.

    make bench-compression DATA=../shared/data [SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf]

DATA holds models/stories260K, models/babyllama-1M and text/*.jsonl; SMOLLM2 adds the 135 M model, hours on two
busy cores, minutes on a GPU. Tables lie under `--work` and are never measured twice, so a run that was killed goes on;
where a model is missing, or a table is not among `--tables`, it is as an earlier run left it, on whatever machine that
was.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier_builder.cli import run
from espalier_builder.contracts import Quantization, Recipe
from espalier_builder.method_name import REFIT, REFIT_ONE_PASS, parse_method
from espalier_builder.stages.cache import StageCache
from measurements import write_measurements
from published import PUBLISHED, beside, no_worse, section
from their_counts import MAGNITUDE_MASKS, THEIRS, measure_their_counts

COMMAND = "make bench-compression DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
ONE_PASS = "cfsp-rel" + REFIT_ONE_PASS
STRUCTURED = ("obs", "cfsp-rel+refit", ONE_PASS, "cfsp", "flap")
WIDTH = (
    "obs",
    ONE_PASS,
    *(name + refit for name in ("cfsp", "cfsp-rel", "flap", "magnitude", "random") for refit in ("", REFIT)),
)
DEPTH = tuple(name + refit for name in ("shortgpt", "angular", "tail") for refit in ("", REFIT))
ESTIMATED = ("minillm", "minillm+refit", "minillm-gate", "minillm-gate+refit")
MASKS = ("sparsegpt", "wanda", "mask-magnitude", "barber-sparsegpt", "barber-wanda", "barber-magnitude")


@dataclass(frozen=True, slots=True)
class Bench:
    """One table: `methods` at each of `sparsities`, and what published.py has beside its rows. `goals`: (sparsity,
    perplexity) for the best of them. `first`: the method and share by which the model is pruned before; the others'
    shares are then of what that leaves."""

    name: str
    model: str
    text: tuple[str, str]
    options: tuple[str, ...]
    methods: tuple[str, ...]
    sparsities: tuple[float, ...]
    goals: tuple[tuple[float, float], ...] = ()
    first: tuple[str, float] | None = None

    def asked(self) -> dict[float, tuple[str, ...]]:
        """Methods by share: all of them, and those that published rows at other shares are beside."""
        methods = dict.fromkeys(self.sparsities, self.methods)
        for published in PUBLISHED.get(self.name, ()):
            if published.ours.endswith(THEIRS):
                continue
            methods[published.asked] = tuple(dict.fromkeys((*methods.get(published.asked, ()), published.ours)))
        return methods

    def asked_with_their_counts(self) -> tuple[float, ...]:
        """Shares of published rows that masks with as many zeros stand beside."""
        published = PUBLISHED.get(self.name, ())
        return tuple(dict.fromkeys(each.asked for each in published if each.ours.endswith(THEIRS)))


SMOL = "SmolLM2-135M-Instruct"
# Weights of the layers' linears over all non-embedding parameters: the rest are norms.
LINEAR = {"babyllama-1M": 921_600 / 923_008, "stories260K": 226_560 / 227_264, SMOL: 106_168_320 / 106_203_456}
WIKITEXT = ("wikitext2-a.jsonl", "wikitext2-b.jsonl")
TINY_STORIES = ("tinystories-train.jsonl", "tinystories-valid.jsonl")
BENCHES = (
    Bench(
        name="babyllama-1M",
        model="babyllama-1M",
        text=TINY_STORIES,
        options=("--calibration-tokens", "32768", "--alignment", "1"),
        methods=STRUCTURED,
        sparsities=(0.1454, 0.3658),
    ),
    Bench(
        name="stories260K",
        model="stories260K",
        text=TINY_STORIES,
        options=("--calibration-tokens", "65536", "--alignment", "1"),
        methods=(*STRUCTURED, "minillm", "minillm-gate", "shortgpt"),
        sparsities=(0.1432, 0.3619),
    ),
    Bench(
        name="babyllama-1M, masks",
        model="babyllama-1M",
        text=TINY_STORIES,
        options=("--calibration-tokens", "32768", "--alignment", "8"),
        methods=MASKS,
        sparsities=(0.5, 0.7, 0.9),
    ),
    Bench(
        name="stories260K, masks",
        model="stories260K",
        text=TINY_STORIES,
        options=("--calibration-tokens", "65536", "--alignment", "4"),
        methods=MASKS,
        sparsities=(0.5,),
    ),
    Bench(
        name="SmolLM2-135M-Instruct",
        model=SMOL,
        text=WIKITEXT,
        options=("--documents", "3"),
        methods=(*WIDTH, *DEPTH),
        sparsities=(0.1, 0.15, 0.2, 0.3),
        goals=((0.15, 32.4), (0.3, 47.4)),
    ),
    Bench(
        name="SmolLM2-135M-Instruct, as published",
        model=SMOL,
        text=WIKITEXT,
        options=("--documents", "3", "--alignment", "1", "--fp32"),
        methods=(),
        sparsities=(),
    ),
    Bench(
        name="SmolLM2-135M-Instruct, estimated gradients",
        model=SMOL,
        text=WIKITEXT,
        options=("--documents", "3"),
        methods=ESTIMATED,
        sparsities=(0.1, 0.2, 0.3),
    ),
    Bench(
        name="SmolLM2-135M-Instruct, width after depth",
        model=SMOL,
        text=WIKITEXT,
        options=("--documents", "3"),
        methods=("obs", "cfsp-rel+refit", "flap+refit"),
        # With the tenth that is gone already: 15, 20 and 30 %.
        sparsities=(0.0556, 0.1111, 0.2222),
        first=("shortgpt+refit", 0.1),
    ),
    Bench(
        name="SmolLM2-135M-Instruct, masks",
        model=SMOL,
        text=WIKITEXT,
        options=("--documents", "3"),
        methods=MASKS,
        sparsities=(0.5, 0.7, 0.9),
    ),
    *(
        Bench(
            name=f"SmolLM2-135M-Instruct, {pattern}",
            model=SMOL,
            text=WIKITEXT,
            options=("--documents", "3"),
            methods=tuple(f"{method}+{pattern}" for method in MASKS),
            sparsities=(0.5,),
        )
        for pattern in ("2:4", "4:8")
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--work", type=Path, required=True, help="tables and finished stages")
    parser.add_argument("--out", type=Path, required=True, help="the folder of compression.md and compression.json")
    parser.add_argument("--tables", type=lambda text: text.split(";"), help="only these, parted by ;  default: all")
    options = parser.parse_args()
    tables: dict[str, Any] = {}
    for bench in BENCHES:
        model = options.smol if bench.model == SMOL else options.data / "models" / bench.model
        file = options.work / f"{bench.name}.json"
        if model is not None and model.exists() and (options.tables is None or bench.name in options.tables):
            measure(bench, model, options.data / "text", options.work, file)
        if file.is_file():
            tables[bench.name] = json.loads(file.read_text(encoding="utf8"))
    measured = [bench for bench in BENCHES if bench.name in tables]
    rows = [{"table": bench.name, **row} for bench in measured for row in tables[bench.name]["rows"]]
    lines = [line for bench in measured for line in beside(bench.name, tables[bench.name]["rows"], LINEAR[bench.model])]
    engines = sorted({row["engine"] for row in rows if "engine" in row})
    write_measurements(
        options.out,
        "compression",
        lambda document: page(measured, document),
        command=COMMAND,
        machine=f"{platform.machine()}, {platform.system()}; {', '.join(engines)}",
        rows=rows,
        goals=[
            *(goal for bench in measured for goal in goals(bench, tables[bench.name]["rows"])),
            *no_worse(lines),
        ],
        protocols={bench.name: tables[bench.name]["protocol"] for bench in measured},
        published=lines,
    )


def measure(bench: Bench, model: Path, text: Path, work: Path, file: Path) -> None:
    """`espalier-builder compare`, after `espalier-builder prune` where the bench says so."""
    calibration, evaluation = (str(text / name) for name in bench.text)
    cache = ["--cache", str(work / "cache")]
    if bench.first is not None:
        folder = work / bench.name
        recipe = work / "recipe.json"
        work.mkdir(parents=True, exist_ok=True)
        recipe.write_text(json.dumps(Recipe(parse_method(*bench.first, 32), Quantization()).to_json()), encoding="utf8")
        asked = ["prune", "--model", str(model), "--recipe", str(recipe), "--calibration", calibration]
        if not folder.exists():
            call([*asked, "--sequence-length", "1024", *cache, "--out", str(folder)])
        model = folder
    for share, methods in bench.asked().items():
        asked = ["compare", "--model", str(model), "--methods", ",".join(methods), "--sparsity", f"{share:g}"]
        call([*asked, "--calibration", calibration, "--eval", evaluation, *bench.options, *cache, "--out", str(file)])
    if shares := bench.asked_with_their_counts():
        tokens = int(bench.options[bench.options.index("--calibration-tokens") + 1])
        texts = (text / bench.text[0], text / bench.text[1])
        measure_their_counts(model, texts, tokens, shares, file, StageCache(work / "cache"))


def call(arguments: list[str]) -> None:
    code = run(arguments)
    if code != 0:
        sys.exit(code)


def goals(bench: Bench, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Perplexity of the best method at each budget against the number to reach."""
    found = []
    for share, goal in bench.goals:
        reached = [row["perplexity"] for row in rows if row["sparsity"] == share and "perplexity" in row]
        if reached:
            name = f"{bench.name}: perplexity with {share:.1%} of the parameters gone"
            found.append({"name": name, "value": min(reached), "goal": goal, "met": min(reached) <= goal})
    return found


def page(benches: list[Bench], document: dict[str, Any]) -> str:
    lines = [
        "# Pruning methods at equal budgets",
        "",
        f"`{document['command']}` on {document['date']} ({document['machine']}).",
        "",
        "Perplexity over whole documents, windows of the model's context that don't overlap, fp32; `removed` is the",
        "share of all non-embedding parameters. `random` and `magnitude` (whole neurons) are floors. s: seconds to",
        "prune and recover, statistics apart, beside other work (on the H200 beside twelve other processes: ten times",
        "what it takes alone). compression.json says which engine measured a row; dense models agree between them to",
        "five digits.",
    ]
    for bench in benches:
        rows = [row for row in document["rows"] if row["table"] == bench.name]
        lines += ["", f"## {bench.name}", ""]
        if bench.first is not None:
            before = f"`{bench.first[0]}` at {bench.first[1]:g}"
            lines += [f"Shares are of what {before} left, which is called dense; agreement and KL are to it.", ""]
        lines += ["| method | removed | perplexity | bits per byte | agreement | KL | s |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [_row(row) for row in sorted(rows, key=lambda row: (row["sparsity"], row.get("perplexity", 1e99)))]
        notes = [f"- {row['method']} at {row['sparsity']:g}: {row['note']}" for row in rows if "note" in row]
        lines += ["", *notes] if notes else []
    lines += ["", *section(document["published"])]
    lines += ["", "## Not measured in this run", ""]
    lines += [
        f"- {bench.name}: {', '.join(absent)}" for bench in BENCHES if (absent := _absent(bench, document["rows"]))
    ]
    lines += ["", "## Goals", "", "| goal | value | to reach | met |", "|---|---|---|---|"]
    for goal in document["goals"]:
        lines.append(f"| {goal['name']} | {goal['value']:.3f} | {goal['goal']:g} | {'yes' if goal['met'] else 'no'} |")
    return "\n".join(lines) + "\n"


def _absent(bench: Bench, rows: list[dict[str, Any]]) -> list[str]:
    """What the command asks for and the table lacks: it was stopped, or the model wasn't given."""
    present = {(row["method"], row["sparsity"]) for row in rows if row["table"] == bench.name}
    asked = [(method, share) for share, methods in bench.asked().items() for method in methods]
    asked += [(method + THEIRS, share) for share in bench.asked_with_their_counts() for method in MAGNITUDE_MASKS]
    return [f"{method} at {share:g}" for method, share in asked if (method, share) not in present]


def _row(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"| {row['method']} | asked {row['sparsity']:g} | {row['error']} | | | | |"
    figures = f"{row['bitsPerByte']:.4f} | {row['agreement']:.3f} | {row['kl']:.3f} | {row.get('seconds', '')}"
    return f"| {row['method']} | {row['achievedSparsity']:.4f} | {row['perplexity']:.4g} | {figures} |"


if __name__ == "__main__":
    main()
