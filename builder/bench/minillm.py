"""How near MINI-LLM's estimated gradients come to true ones, and what they need of memory: docs/measurements/minillm.

    make bench-minillm DATA=../shared/data [SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf]

Spearman's rank correlation, within each layer and then averaged, of the neurons' scores with those by backpropagation
on the same tokens. Peak memory: on a GPU what PyTorch allocated there, on a CPU the process's resident set, with model
and interpreter. Rows lie under `--work` and are never measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.device import choose_device, on_device
from espalier_builder.prune.minillm import (
    ffn_linears,
    gate_probe_scores,
    loss,
    probe_rows,
    sensitivity_scores,
    weight_probe_scores,
)
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.stages.cost import measure_cost
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from measurements import engine_of, engines, read_rows, write_measurements

COMMAND = "make bench-minillm DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
SMOL = "SmolLM2-135M-Instruct"
# (model, calibration text, rows, tokens a row, probes)
MODELS: tuple[tuple[str, str, int, int, tuple[int, ...]], ...] = (
    ("stories260K", "tinystories-train.jsonl", 128, 512, (1, 8, 32, 128)),
    ("babyllama-1M", "tinystories-train.jsonl", 128, 256, (1, 8, 32, 128)),
    (SMOL, "wikitext2-a.jsonl", 16, 1024, (1, 8, 32)),
)
MOST_MEMORY = 1.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--work", type=Path, required=True, help="rows, and the checkpoints that were read")
    parser.add_argument("--out", type=Path, required=True, help="the folder of minillm.md and minillm.json")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name, text, count, length, probes in MODELS:
        model = options.smol if name == SMOL else options.data / "models" / name
        if model is not None and model.exists():
            checkpoint = load_cached(model, StageCache(options.work / "cache"))
            documents = read_documents(options.data / "text" / text, "calibration")
            drawn = calibration_rows(checkpoint.tokenizer, documents, length=length, tokens=count * length, seed=0)
            on = on_device(checkpoint, choose_device("auto")).model
            measure(Table(name, options.work / f"{name}.json"), on, probe_rows(drawn), probes)
    rows = [row for name, *_ in MODELS for row in Table(name, options.work / f"{name}.json").rows()]
    write_measurements(
        options.out,
        "minillm",
        page,
        command=COMMAND,
        machine=engines(rows),
        rows=rows,
        goals=[goal for name, *_ in MODELS for goal in goals(name, rows)],
    )


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a model, each written as soon as it is measured."""

    model: str
    file: Path

    def rows(self) -> list[dict[str, Any]]:
        return read_rows(self.file)

    def add(self, *rows: dict[str, Any]) -> None:
        print(json.dumps(rows), file=sys.stderr, flush=True)
        written = [*self.rows(), *({"model": self.model, **row} for row in rows)]
        self.file.write_text(json.dumps(written, indent=1) + "\n", encoding="utf8")

    def has(self, **fields: object) -> bool:
        return any(fields.items() <= row.items() for row in self.rows())


def measure(table: Table, model: DecoderModel, rows: Tensor, probes: tuple[int, ...]) -> None:
    """Adds what the table lacks."""
    engine = engine_of(model.device)
    how = {"tokens": rows.numel(), "engine": engine}
    if not table.has(what="memory"):
        peaks = memory(model, rows)
        table.add(
            *(
                {
                    "what": "memory",
                    "method": name,
                    "peakBytes": peak,
                    "timesInference": round(peak / peaks["inference"], 3),
                    **how,
                }
                for name, peak in peaks.items()
            )
        )
    asked: list[tuple[str, int, Callable[[], list[Tensor]]]] = [("minillm", 0, lambda: without_gradients(model, rows))]
    for count in probes:
        asked.append(("minillm", count, partial(weight_probe_scores, model, rows, seed=0, probes=count)))
        asked.append(("minillm-gate", count, partial(gate_probe_scores, model, rows, seed=0, probes=count)))
    missing = [each for each in asked if not table.has(what="correlation", method=each[0], probes=each[1])]
    if not missing:
        return
    truth = {"minillm": true_weight_scores(model, rows), "minillm-gate": true_gate_scores(model, rows)}
    for name, count, scores in missing:
        correlation = round(rank_correlation(scores(), truth[name]), 4)
        table.add({"what": "correlation", "method": name, "probes": count, "spearman": correlation, **how})


def memory(model: DecoderModel, rows: Tensor) -> dict[str, int]:
    """Peak bytes by method, in the order in which they grow, since a process gives little back."""
    loss(model, rows[:1])
    return {
        "inference": peak_memory(lambda: torch.inference_mode()(loss)(model, rows), model),
        "minillm-gate": peak_memory(lambda: gate_probe_scores(model, rows, seed=0, probes=1), model),
        "minillm": peak_memory(lambda: weight_probe_scores(model, rows, seed=0, probes=1), model),
        "backpropagation": peak_memory(lambda: true_weight_scores(model, rows), model),
    }


def without_gradients(model: DecoderModel, rows: Tensor) -> list[Tensor]:
    linears = ffn_linears(model)
    return sensitivity_scores(model, rows, lambda index: torch.ones_like(linears[index].weight))


def peak_memory(work: Callable[[], object], model: DecoderModel) -> int:
    """Bytes at the worst moment of `work`, the model's included."""
    if model.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated()
    with measure_cost() as meter:
        work()
    if meter.cost.peak_memory_bytes is None:
        sys.exit("this system has no counter of a process's peak memory")
    return meter.cost.peak_memory_bytes


def true_weight_scores(model: DecoderModel, rows: Tensor) -> list[Tensor]:
    linears = ffn_linears(model)
    for linear in linears:
        linear.weight.requires_grad_(True)
    loss(model, rows).backward()
    gradients = [linear.weight.grad for linear in linears]
    for linear in linears:
        linear.weight.requires_grad_(False)
        linear.weight.grad = None
    return sensitivity_scores(model, rows, lambda index: required(gradients[index]))


def true_gate_scores(model: DecoderModel, rows: Tensor) -> list[Tensor]:
    """`|dL/dgate|`, a gate of 1 on each neuron's activation."""
    downs = [layer.mlp.down_proj for layer in model.model.layers]
    gates = [torch.ones(down.in_features, device=model.device, requires_grad=True) for down in downs]

    def gated(gate: Tensor) -> Callable[[nn.Module, tuple[Tensor]], Tensor]:
        return lambda _module, inputs: inputs[0] * gate

    hooks = [down.register_forward_pre_hook(gated(gate)) for down, gate in zip(downs, gates, strict=True)]
    loss(model, rows).backward()
    for hook in hooks:
        hook.remove()
    return [required(gate.grad).abs() for gate in gates]


def required(gradient: Tensor | None) -> Tensor:
    if gradient is None:
        raise ValueError("a parameter that the loss does not depend on")
    return gradient


def rank_correlation(scores: list[Tensor], truth: list[Tensor]) -> float:
    """Spearman's, the mean over layers."""
    found = []
    for one, other in zip(scores, truth, strict=True):
        ranks = torch.stack([each.argsort().argsort().double() for each in (one, other)])
        found.append(torch.corrcoef(ranks)[0, 1].item())
    return sum(found) / len(found)


def goals(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ratios = [
        row["timesInference"]
        for row in rows
        if (row["model"], row.get("method")) == (name, "minillm") and "timesInference" in row
    ]
    return [
        {
            "name": f"{name}: memory of minillm by that of inference",
            "value": ratio,
            "goal": MOST_MEMORY,
            "met": ratio <= MOST_MEMORY,
        }
        for ratio in ratios
    ]


def page(document: dict[str, Any]) -> str:
    lines = ["# MINI-LLM: estimated gradients", ""]
    lines += [f"`{document['command']}` on {document['date']} ({document['machine']}).", ""]
    lines += [
        "Spearman's rank correlation of the neurons' scores with those by backpropagation on the same tokens, mean"
    ]
    lines += [
        "over layers; `minillm` with 0 probes is `|W| * ||X||` without any gradient. Memory: on a GPU what PyTorch"
    ]
    lines += ["allocated, on a CPU the process's resident set."]
    for name, *_ in MODELS:
        own = [row for row in document["rows"] if row["model"] == name]
        if not own:
            continue
        lines += ["", f"## {name}", "", f"{own[0]['tokens']} tokens, {own[0]['engine']}.", ""]
        lines += ["| score | probes | rank correlation |", "|---|---|---|"]
        lines += [f"| {r['method']} | {r['probes']} | {r['spearman']:.3f} |" for r in own if r["what"] == "correlation"]
        lines += ["", "| pass | peak memory, MB | times inference |", "|---|---|---|"]
        lines += [
            f"| {r['method']} | {r['peakBytes'] / 1e6:.0f} | {r['timesInference']:.2f} |"
            for r in own
            if r["what"] == "memory"
        ]
    lines += ["", "## Goals", "", "| goal | value | to reach | met |", "|---|---|---|---|"]
    for goal in document["goals"]:
        lines.append(f"| {goal['name']} | {goal['value']:.3f} | {goal['goal']:g} | {'yes' if goal['met'] else 'no'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
