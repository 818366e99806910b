"""What training gives back after pruning, and on whose text: docs/measurements/recovery.{md,json}.

    make bench-recovery DATA=../shared/data [SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf]

Two pruned and refitted starts of each model are trained in every way of `espalier-builder recover`: adapters whose
ranks are alike, follow layer importance or its inverse at the same sum, or everything; on the text or towards the dense
model's logits; on the user's text or on as many tokens that the dense model wrote itself. Training stops early on
documents of the same kind that it never sees; the perplexity is that of the evaluation text. A row is written under
`--work` as soon as it is measured and never measured again; several processes may share the work (`--starts`), each
with a folder of its own under the one that the page is made from.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.device import choose_device, on_device
from espalier_builder.method_name import parse_method
from espalier_builder.process import keep_freed_memory
from espalier_builder.recover.finetune import FineTuning
from espalier_builder.recover.recover_job import fine_tune_by_importance, split_rows
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows, document_ids
from espalier_builder.text.sample import sample_documents
from espalier_builder.text.windows import Window, document_windows
from measurements import engine_of, engines, keep_row, read_rows, write_measurements
from quantized import perplexity
from stages import stages_of

COMMAND = "make bench-recovery DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
SMOL = "SmolLM2-135M-Instruct"
LEARNING_RATE_OF_ADAPTERS = 1e-3
TEXTS = ("user's", "dense model's")


@dataclass(frozen=True, slots=True)
class Bench:
    """`rows` of `length` tokens calibrate the pruning; training takes rows of `row_length`,
    everything at `full_rate`."""

    model: str
    text: tuple[str, str]
    documents: int | None
    rows: int
    length: int
    alignment: int
    starts: tuple[str, ...]
    sparsity: float
    row_length: int
    full_rate: float


BENCHES = (
    Bench(SMOL, ("wikitext2-a.jsonl", "wikitext2-b.jsonl"), 3, 16, 1024, 32, ("cfsp-rel+refit", "obs"), 0.3, 512, 1e-4),
    Bench(
        "babyllama-1M",
        ("tinystories-train.jsonl", "tinystories-valid.jsonl"),
        None,
        128,
        256,
        8,
        ("cfsp-rel+refit", "obs"),
        0.366,
        256,
        5e-4,
    ),
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to train, by its name in the table."""

    name: str
    settings: FineTuning


def ways(full_rate: float) -> list[tuple[str, Way]]:
    """(whose text, way), in order of worth."""

    def lora(ranks: Any, *, distil: bool, seed: int = 0) -> Way:
        name = f"adapters, ranks {ranks}{', distilled' if distil else ''}"
        return Way(name, FineTuning(ranks=ranks, distil=distil, learning_rate=LEARNING_RATE_OF_ADAPTERS, seed=seed))

    def full(*, distil: bool) -> Way:
        name = f"everything{', distilled' if distil else ''}"
        return Way(name, FineTuning(kind="full", distil=distil, learning_rate=full_rate))

    user, own = TEXTS
    return [
        *((user, lora(ranks, distil=True)) for ranks in ("uniform", "importance", "inverse")),
        (user, full(distil=True)),
        (own, lora("uniform", distil=True)),
        (own, full(distil=True)),
        (user, lora("uniform", distil=False)),
        (user, full(distil=False)),
        (own, lora("uniform", distil=False)),
        # Whether importance pays is a matter of a percent: two seeds more.
        *(
            (user, lora(ranks, distil=True, seed=seed))
            for seed in (1, 2)
            for ranks in ("uniform", "importance", "inverse")
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--starts", type=lambda text: tuple(text.split(",")), help="only these; default: all")
    parser.add_argument("--work", type=Path, required=True, help="rows, and the checkpoints that were read")
    parser.add_argument("--out", type=Path, required=True, help="the folder of recovery.md and recovery.json")
    options = parser.parse_args()
    keep_freed_memory()
    options.work.mkdir(parents=True, exist_ok=True)
    for bench in BENCHES:
        model = options.smol if bench.model == SMOL else options.data / "models" / bench.model
        if model is not None and model.exists():
            starts = [start for start in bench.starts if options.starts is None or start in options.starts]
            measure(bench, starts, model, options.data / "text", options.work)
    rows = [row for bench in BENCHES for row in merged(options.work, bench.model)]
    write_measurements(
        options.out,
        "recovery",
        page,
        command=COMMAND,
        machine=engines(rows),
        rows=rows,
    )


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("start", "text", "trained", "seed"))


def merged(work: Path, model: str) -> list[dict[str, Any]]:
    """The rows of a model in `work` and its folders, each once."""
    rows = [row for file in sorted(work.glob(f"**/{model}.json")) for row in read_rows(file)]
    return list({key(row): row for row in rows}.values())


def measure(bench: Bench, starts: list[str], model: Path, text: Path, work: Path) -> None:
    """Adds the rows that the table lacks."""
    file = work / f"{bench.model}.json"
    rows = read_rows(file)
    asked = [(start, whose, way) for start in starts for whose, way in ways(bench.full_rate)]
    done = {key(row) for row in rows}
    if all((start, whose, way.name, way.settings.seed) in done for start, whose, way in asked):
        return
    checkpoint = on_device(load_cached(model, StageCache(work / "cache")), choose_device("auto"))
    dense = checkpoint.model
    documents = read_documents(text / bench.text[0], "calibration")
    evaluation = read_documents(text / bench.text[1], "evaluation")[: bench.documents]
    windows = document_windows(checkpoint.tokenizer, evaluation, length=bench.length).windows
    texts = {TEXTS[0]: documents, TEXTS[1]: written(checkpoint, documents, bench, work / f"{bench.model}.txt.json")}
    drawn = calibration_rows(
        checkpoint.tokenizer, documents, length=bench.length, tokens=bench.rows * bench.length, seed=0
    )
    engine = engine_of(dense.device)
    stages = stages_of(model, dense, StageCache(work / "cache"))
    calibration = stages.calibration(drawn, seed=0)
    unpruned = round(perplexity(dense, windows), 4)
    for start in starts:
        pruned = stages.pruned(parse_method(start, bench.sparsity, bench.alignment), calibration).model
        before = perplexity(pruned, windows)
        for whose, way in ways(bench.full_rate):
            if (start, whose, way.name, way.settings.seed) in done:
                continue
            began = time.perf_counter()
            row = {"model": bench.model, "start": start, "text": whose, "trained": way.name, "seed": way.settings.seed}
            row |= trained(pruned, checkpoint, texts[whose], bench, way.settings, windows)
            row |= {"perplexityBefore": round(before, 4), "perplexityDense": unpruned}
            row |= {"seconds": round(time.perf_counter() - began, 1), "engine": engine}
            print(
                json.dumps({name: value for name, value in row.items() if name != "curve"}), file=sys.stderr, flush=True
            )
            keep_row(row, rows, file)


def trained(
    pruned: DecoderModel,
    dense: Checkpoint,
    documents: list[str],
    bench: Bench,
    settings: FineTuning,
    windows: tuple[Window, ...],
) -> dict[str, Any]:
    """As `espalier-builder recover` trains; the held-out curve, and the perplexity of what came out."""
    training, held_out = split_rows(dense, documents, settings, bench.row_length)
    recovered = fine_tune_by_importance(pruned, dense.model, training, held_out, settings)
    return {
        "parametersTrained": recovered.trained,
        "perplexity": round(perplexity(recovered.model, windows), 4),
        "curve": [asdict(point) for point in recovered.curve],
    }


def written(checkpoint: Checkpoint, documents: list[str], bench: Bench, file: Path) -> list[str]:
    """As many tokens as `documents` hold, of the dense model's own writing; kept in `file`."""
    if not file.exists():
        tokens = min(sum(len(document_ids(checkpoint.tokenizer, text)) for text in documents), 100_000)
        own = sample_documents(checkpoint, tokens=tokens, length=bench.row_length, seed=0)
        file.write_text(json.dumps(own), encoding="utf8")
    found: list[str] = json.loads(file.read_text(encoding="utf8"))
    return found


def page(document: dict[str, Any]) -> str:
    lines = ["# Recovery by training", ""]
    lines += [f"`{document['command']}` on {document['date']} ({document['machine']}).", ""]
    lines += [
        "Perplexity on the evaluation text, by the protocol of compression.md, after training; fp32. Held-out loss:",
        "nats a token on documents like those that were trained on, before and at its lowest, after so many steps of 4",
        "rows (200 at most). Adapters have a mean rank of 8. recovery.json has the curves.",
    ]
    for bench in BENCHES:
        rows = [row for row in document["rows"] if row["model"] == bench.model]
        for start in dict.fromkeys(row["start"] for row in rows):
            own = [row for row in rows if row["start"] == start]
            before, dense = own[0]["perplexityBefore"], own[0]["perplexityDense"]
            lines += ["", f"## {bench.model}, {start} at {bench.sparsity:g}: {before:.4g}, dense {dense:.4g}", ""]
            lines += ["| trained | text | seed | parameters | held-out loss | steps | perplexity |", "|---" * 7 + "|"]
            lines += [_row(row) for row in sorted(own, key=lambda row: row["perplexity"])]
            lines += by_ranks(own)
    return "\n".join(lines) + "\n"


def by_ranks(rows: list[dict[str, Any]]) -> list[str]:
    """Whether the ranks' spread over layers matters: each way's mean over seeds, beside how far seeds lie apart."""
    lines = [
        "",
        "| ranks, distilled on the user's text | seeds | mean perplexity | lowest to highest |",
        "|---" * 4 + "|",
    ]
    for ranks in ("uniform", "importance", "inverse"):
        asked = (f"adapters, ranks {ranks}, distilled", TEXTS[0])
        found = sorted(row["perplexity"] for row in rows if (row["trained"], row["text"]) == asked)
        if len(found) > 1:
            lines.append(f"| {ranks} | {len(found)} | {fmean(found):.4g} | {found[0]:.4g} to {found[-1]:.4g} |")
    return lines if len(lines) > 3 else []


def _row(row: dict[str, Any]) -> str:
    best = min(row["curve"], key=lambda point: point["held_out_loss"])
    losses = f"{row['curve'][0]['held_out_loss']:.3f} to {best['held_out_loss']:.3f}"
    named = f"| {row['trained']} | {row['text']} | {row['seed']} | {row['parametersTrained']:,}"
    return f"{named} | {losses} | {best['step']} | {row['perplexity']:.4g} |"


if __name__ == "__main__":
    main()
