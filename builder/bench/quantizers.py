"""Perplexity of a model's quantized weights, by quantizer and grid.

    python builder/bench/quantizers.py --model SmolLM2-135M-Instruct.Q4_1.gguf --calibration wikitext2-a.jsonl \
        --eval wikitext2-b.jsonl --out docs/measurements/quantizers.json

PyTorch, fp32. Evaluation: the documents joined by token 0, non-overlapping windows. Calibration: random windows of the
other text. A row is written as soon as it is measured and never measured again, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import Quantization
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.process import keep_freed_memory
from espalier_builder.prune.precision import bf16_is_fast
from espalier_builder.quantize.model import UNCALIBRATED, dequantized_copy
from espalier_builder.quantize.sequential import quantize_sequentially
from espalier_builder.quantize.weight_format import linear_format, variant_formats
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows

GRIDS = ",".join(f"{method}-q4b{block}a" for block in (128, 32) for method in ("rtn", "gptq"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--grids", default=GRIDS, help="default: %(default)s; a after the block: asymmetric")
    parser.add_argument("--rows", type=int, default=16, help="of calibration text; default: 16")
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--cache", type=Path, default=Path(".espalier/cache/bench"))
    options = parser.parse_args()
    keep_freed_memory()
    checkpoint = load_cached(options.model, StageCache(options.cache))
    texts = read_documents(options.calibration, "calibration")
    tokens = options.rows * options.length
    rows = calibration_rows(checkpoint.tokenizer, texts, length=options.length, tokens=tokens, seed=0)
    windows = joined_windows(checkpoint, options.eval, options.length, options.windows)
    protocol = {
        "model": checkpoint.name,
        "calibrationRows": list(rows.shape),
        "windows": [len(windows), options.length],
        "engine": f"pytorch {torch.__version__}",
        "threads": torch.get_num_threads(),
    }
    table: dict[str, Any] = {"protocol": protocol, "rows": []}
    if options.out.exists():
        table = json.loads(options.out.read_text(encoding="utf8"))
        if table["protocol"] != protocol:
            parser.error(f"{options.out} was taken by another protocol; name another file")
    done = {row["grid"] for row in table["rows"]}
    for name in ["dense", *options.grids.split(",")]:
        if name not in done:
            row = measure(name, checkpoint.model, rows, windows)
            print(json.dumps(row), flush=True)
            table["rows"].append(row)
            options.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf8")


def measure(name: str, model: DecoderModel, rows: Tensor, windows: list[Tensor]) -> dict[str, Any]:
    """A row of the table: what `name` (`gptq-q4b128a`, or `dense`) makes of the model."""
    started = time.perf_counter()
    quantization = parse(name)
    matrices = UNCALIBRATED
    if quantization.method == "gptq":
        matrices = quantize_sequentially(model, rows, linear_format(quantization), bf16=bf16_is_fast())
    copy = model if quantization.method == "none" else dequantized_copy(model, quantization, matrices)
    seconds = time.perf_counter() - started
    formats = variant_formats(linear_format(quantization), model.config.hidden_size)
    return {
        "grid": name,
        "perplexity": round(perplexity(copy, windows), 3),
        "weightBytes": lay_out(spec_of(model), formats).total_bytes,
        "secondsToQuantize": round(seconds, 1),
    }


def parse(name: str) -> Quantization:
    if name == "dense":
        return Quantization()
    found = re.fullmatch(r"(rtn|gptq)-q([48])b(32|64|128|256)(a?)", name)
    if found is None:
        raise SystemExit(f"{name!r} is no grid: use e.g. rtn-q8b128, gptq-q4b128a")
    method, bits, block, asymmetric = found.groups()
    fields = {"method": method, "bits": int(bits), "blockSize": int(block), "symmetric": not asymmetric}
    return Quantization.from_json(fields | {"accuracyLevel": 4})


def joined_windows(checkpoint: Checkpoint, text: Path, length: int, count: int) -> list[Tensor]:
    """The first `count` windows `[length + 1]`: inputs and, one later, targets."""
    stream: list[int] = []
    for document in read_documents(text, "evaluation"):
        stream += [0] if stream else []
        stream += checkpoint.tokenizer(document, add_special_tokens=False).input_ids
    return [torch.tensor(stream[at * length : (at + 1) * length + 1]) for at in range(count)]


@torch.inference_mode()
def perplexity(model: DecoderModel, windows: list[Tensor]) -> float:
    nll, tokens = 0.0, 0
    for window in windows:
        logits = model(input_ids=window[None, :-1], use_cache=False).logits[0].float()
        nll += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").double().item()
        tokens += len(window) - 1
    return math.exp(nll / tokens)


if __name__ == "__main__":
    main()
