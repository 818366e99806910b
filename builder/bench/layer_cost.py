"""What one layer of a 7B LLaMA costs by method: docs/measurements/layer-cost.{md,json}.

    python builder/bench/layer_cost.py [--device cuda] [--rows 128] [--length 2048] [--tf32] --out docs/measurements

Random weights in LLaMA-7B's shape (H 4096, F 11008, 32 heads), so no model is needed. Each method runs as `prune` and
`build` run it, on one decoder layer; 32 times that is the projection for the model, which leaves out what a model needs
once: reading it, its embedding, its head. A device's rows replace those that it had in the file, others stay.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from espalier_builder.contracts import Pruning, PruningMethod
from espalier_builder.device import choose_device
from espalier_builder.prune.cfsp import cfsp_rel_scores
from espalier_builder.prune.mask.choose import choose_masks
from espalier_builder.prune.precision import calibrates_in_bf16
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.quantize.sequential import quantize_sequentially
from espalier_builder.quantize.weight_format import WeightFormat
from espalier_builder.stages.cost import measure_cost

LAYERS = 32
COMMAND = "python builder/bench/layer_cost.py --device cuda --out docs/measurements"
Method = Callable[[LlamaForCausalLM, Tensor], object]


def cfsp(model: LlamaForCausalLM, rows: Tensor) -> object:
    statistics = collect_statistics(model, rows, bf16=calibrates_in_bf16(model.device))
    mlp = model.model.layers[0].mlp
    activation = statistics.activation_norms[0].to(rows.device)
    return cfsp_rel_scores(mlp.down_proj.weight, [mlp.gate_proj.weight, mlp.up_proj.weight], activation)


def masks(method: PruningMethod) -> Method:
    return lambda model, rows: choose_masks(model, Pruning(method, 0.5), rows, lambda _: None)


def gptq(model: LlamaForCausalLM, rows: Tensor) -> object:
    return quantize_sequentially(model, rows, WeightFormat(4, 128, False, 4), bf16=calibrates_in_bf16(model.device))


METHODS: dict[str, Method] = {
    "cfsp-rel": cfsp,
    "wanda": masks("wanda"),
    "sparsegpt": masks("sparsegpt"),
    "barber-wanda": masks("barber-wanda"),
    "gptq q4b128a": gptq,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--rows", type=int, default=128, help="calibration sequences; default: 128")
    parser.add_argument("--length", type=int, default=2048, help="tokens of each; default: 2048")
    parser.add_argument("--methods", default=",".join(METHODS), help="default: all")
    parser.add_argument(
        "--tf32",
        action="store_true",
        help="all matrix products of fp32 in TF32, on GPUs that have it; else those alone that gradients are taken of",
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder of layer-cost.md and layer-cost.json")
    options = parser.parse_args()
    device = choose_device(options.device)
    torch.backends.cuda.matmul.allow_tf32 = options.tf32
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads of a CPU"
    precision = "TF32" if options.tf32 else "fp32"
    model = seven_b(device)
    chance = torch.Generator().manual_seed(0)
    rows = torch.randint(0, model.config.vocab_size, (options.rows, options.length), generator=chance).to(device)
    measured = []
    for method in options.methods.split(","):
        row = {"method": method, "device": name, "precision": precision, "rows": options.rows, "tokens": rows.numel()}
        measured.append(row | cost(METHODS[method], model, rows))
        print(json.dumps(measured[-1]), flush=True)
    write(options.out, measured, name, precision)


def seven_b(device: str) -> LlamaForCausalLM:
    """One layer of LLaMA-7B's shape, with weights as at the start of its training."""
    config = LlamaConfig(
        hidden_size=4096,
        intermediate_size=11008,
        num_attention_heads=32,
        num_hidden_layers=1,
        vocab_size=2048,
        max_position_embeddings=4096,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = LlamaForCausalLM(config)
    return model.requires_grad_(False).eval()


def cost(method: Method, model: LlamaForCausalLM, rows: Tensor) -> dict[str, Any]:
    """Seconds and memory of the whole run, and the matrix products' FLOPs, scaled up from one row."""
    cuda = rows.device.type == "cuda"
    with FlopCounterMode(display=False) as counter:
        method(model, rows[:1])
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    with measure_cost() as meter:
        method(model, rows)
        if cuda:
            torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() if cuda else meter.cost.peak_memory_bytes
    return {
        "secondsPerLayer": round(seconds, 2),
        "projectedSeconds": round(seconds * LAYERS),
        "matrixProductFlops": counter.get_total_flops() * len(rows),
        "weightBytes": 4 * sum(weight.numel() for weight in model.model.layers[0].parameters()),
        "peakMemoryBytes": peak,
    }


def write(folder: Path, measured: list[dict[str, Any]], device: str, precision: str) -> None:
    """Replaces this device's rows in layer-cost.json, and the page."""
    file = folder / "layer-cost.json"
    before = json.loads(file.read_text(encoding="utf8"))["rows"] if file.exists() else []
    names = {row["method"] for row in measured}
    kept = [
        row for row in before if (row["device"], row["precision"]) != (device, precision) or row["method"] not in names
    ]
    rows = [*kept, *measured]
    barber = [row for row in rows if row["method"] == "barber-wanda" and row["tokens"] >= 128 * 2048]
    value = min((row["projectedSeconds"] for row in barber), default=None)
    goal = {"name": "LLM-Barber on 7B, projected, seconds", "value": value, "goal": 300}
    document = {
        "command": COMMAND,
        "machine": ", ".join(dict.fromkeys(row["device"] for row in rows)) + f"; {platform.system()}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rows": rows,
        "goals": [goal | {"met": value is not None and value <= 300}],
    }
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf8")
    (folder / "layer-cost.md").write_text(page(document), encoding="utf8")


def page(document: dict[str, Any]) -> str:
    lines = [
        "# One layer of a 7B LLaMA, by method",
        "",
        f"`{document['command']}`, once more with `--tf32`",
        f"for those products; {document['date']}. Random weights of LLaMA-7B's shape, one decoder layer, fp32",
        "weights. FLOPs are those of matrix products (not of decompositions and column updates), scaled up from",
        "one row.",
        f"The projection is {LAYERS} times the layer; reading the model, its embedding and head come on top.",
        "",
        "| method | device | products in | tokens | s a layer | s for 7B, projected | TFLOP a layer | peak GB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        flops, peak = row["matrixProductFlops"] / 1e12, row["peakMemoryBytes"]
        where = f"{row['device']} | {row['precision']} | {row['tokens']:,}"
        seconds = f"{row['secondsPerLayer']} | {row['projectedSeconds']:,}"
        memory = "" if peak is None else f"{peak / 1e9:.1f}"
        lines.append(f"| {row['method']} | {where} | {seconds} | {flops:.1f} | {memory} |")
    for goal in document["goals"]:
        value = "not measured" if goal["value"] is None else f"{goal['value']}: {'met' if goal['met'] else 'missed'}"
        lines += ["", f"Goal: {goal['name']}, at most {goal['goal']}; {value}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
