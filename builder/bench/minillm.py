"""How near MINI-LLM's estimated gradients come to true ones, and what they need of memory: docs/measurements/minillm.

    make bench-minillm DATA=../shared/data [SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf]

Spearman's rank correlation, within each layer and then averaged, of the neurons' scores with those by backpropagation
on the same tokens. Peak memory: on a GPU what PyTorch allocated there, on a CPU the process's resident set, with model
and interpreter. Rows lie under `--work` and are never measured again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from collections.abc import Callable
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

COMMAND = "make bench-minillm DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
SMOL = "SmolLM2-135M-Instruct"
# (model, calibration text, rows, tokens a row, probes)
MODELS: tuple[tuple[str, str, int, int, tuple[int, ...]], ...] = (
    (SMOL, "wikitext2-a.jsonl", 16, 1024, (1, 8, 32)),
    ("babyllama-1M", "tinystories-train.jsonl", 128, 256, (1, 8, 32, 128)),
    ("stories260K", "tinystories-train.jsonl", 128, 512, (1, 8, 32, 128)),
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
    rows: list[dict[str, Any]] = []
    for name, text, count, length, probes in MODELS:
        model = options.smol if name == SMOL else options.data / "models" / name
        file = options.work / f"{name}.json"
        if not file.is_file() and model is not None and model.exists():
            checkpoint = load_cached(model, StageCache(options.work / "cache"))
            documents = read_documents(options.data / "text" / text, "calibration")
            drawn = calibration_rows(checkpoint.tokenizer, documents, length=length, tokens=count * length, seed=0)
            found = measure(on_device(checkpoint, choose_device("auto")).model, probe_rows(drawn), probes)
            file.write_text(json.dumps([{"model": name, **row} for row in found], indent=1) + "\n", encoding="utf8")
        if file.is_file():
            rows += json.loads(file.read_text(encoding="utf8"))
    document = {
        "command": COMMAND,
        "machine": ", ".join(sorted({row["engine"] for row in rows})),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rows": rows,
        "goals": [goal for name, *_ in MODELS for goal in goals(name, rows)],
    }
    (options.out / "minillm.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf8")
    (options.out / "minillm.md").write_text(page(document), encoding="utf8")


def measure(model: DecoderModel, rows: Tensor, probes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Memory in the order in which it grows, since a process gives little back; then correlations."""
    engine = f"PyTorch {torch.__version__}, " + (
        torch.cuda.get_device_name() if model.device.type == "cuda" else platform.machine()
    )
    found: list[dict[str, Any]] = []
    loss(model, rows[:1])
    peaks = {
        "inference": peak_memory(lambda: torch.inference_mode()(loss)(model, rows), model),
        "minillm-gate": peak_memory(lambda: gate_probe_scores(model, rows, seed=0, probes=1), model),
        "minillm": peak_memory(lambda: weight_probe_scores(model, rows, seed=0, probes=1), model),
    }
    truth: dict[str, list[Tensor]] = {}
    peaks["backpropagation"] = peak_memory(lambda: truth.update(minillm=true_weight_scores(model, rows)), model)
    truth["minillm-gate"] = true_gate_scores(model, rows)
    for name, peak in peaks.items():
        ratio = round(peak / peaks["inference"], 3)
        found.append({"what": "memory", "method": name, "peakBytes": peak, "timesInference": ratio})
    magnitudes = sensitivity_scores(model, rows, lambda index: torch.ones_like(ffn_linears(model)[index].weight))
    estimates: list[tuple[str, int, list[Tensor]]] = [("minillm", 0, magnitudes)]
    for count in probes:
        for name, scores in (("minillm", weight_probe_scores), ("minillm-gate", gate_probe_scores)):
            estimates.append((name, count, scores(model, rows, seed=0, probes=count)))
            print(f"{name}, {count} probes", file=sys.stderr, flush=True)
    for name, count, scores in estimates:
        correlation = round(rank_correlation(scores, truth[name]), 4)
        found.append({"what": "correlation", "method": name, "probes": count, "spearman": correlation})
    return [row | {"tokens": rows.numel(), "engine": engine} for row in found]


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
