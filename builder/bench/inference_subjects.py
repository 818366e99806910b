"""Makes what `bench/inference` times: one model's levels in our formats and in llama.cpp's, each with its perplexity.

    python bench/inference_subjects.py --model FILE.gguf --calibration TRAIN.jsonl --eval VALID.jsonl --out DIR

Writes graphs and GGUF files of the same weights, and `subjects.json` that names them. Perplexity is of the first tokens
of the evaluation text: ours by the exported graph in ONNX Runtime, llama.cpp's by PyTorch in fp32 with the weights as
its types leave them. What is there already isn't made again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gguf import GGMLQuantizationType

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.checkpoint.load import load
from espalier_builder.contracts import Pruning
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.export.graph import graph_contract
from espalier_builder.export.write_graph import write_graph
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.process import keep_freed_memory
from espalier_builder.prune.apply import Calibration, prune
from espalier_builder.prune.precision import bf16_is_fast
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.quantize.weight_format import FP32, WeightFormat, variant_formats
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import EvaluationWindows, Window, evaluation_windows
from llama_gguf import rounded, write_gguf

LENGTH = 512
CALIBRATION_TOKENS = 8192
SPARSITIES = {"dense": 0.0, "pruned 20 %": 0.2, "pruned 40 %": 0.4}
OURS = {
    "dense": [FP32, WeightFormat(8, 128, True, 4), *(WeightFormat(4, block, False, 4) for block in (32, 128))],
    "pruned 20 %": [WeightFormat(8, 128, True, 4), WeightFormat(4, 128, False, 4)],
    "pruned 40 %": [WeightFormat(8, 128, True, 4), WeightFormat(4, 128, False, 4)],
}
THEIRS = (GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_0)


def names_of(level: str) -> list[str]:
    """Of our formats, then of theirs, in the order of `OURS` and `THEIRS`."""
    tag = "" if level == "dense" else f"p{SPARSITIES[level] * 100:.0f}-"
    return [f"{tag}{form.key}" for form in OURS[level]] + [f"{tag}{kind.name.lower()}" for kind in THEIRS]


def perplexity(windows: EvaluationWindows, logits_of: Callable[[Window], torch.Tensor]) -> float:
    nll = sum(
        torch.nn.functional.cross_entropy(logits_of(window), window.targets, reduction="sum").item()
        for window in windows.windows
    )
    return float(torch.tensor(nll / windows.tokens).exp())


def exported_perplexity(windows: EvaluationWindows, graph: Path) -> float:
    decoder = OnnxDecoder(graph, threads=2)
    return perplexity(
        windows, lambda window: torch.from_numpy(decoder.logits(window.inputs.tolist(), window.positions.tolist()))
    )


class Subjects:
    """The list in `subjects.json`, saved after each entry."""

    def __init__(self, out: Path) -> None:
        self._file = out / "subjects.json"
        self.entries: dict[str, dict[str, Any]] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def add(self, name: str, level: str, make: Callable[[], dict[str, Any]]) -> None:
        if name in self.entries:
            return
        self.entries[name] = {"name": name, "level": level, **make()}
        unfinished = self._file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self.entries, indent=1))
        unfinished.rename(self._file)
        print(f"{name}: perplexity {self.entries[name]['perplexity']:.3f}", flush=True)


def ours(model: DecoderModel, form: WeightFormat, folder: Path, windows: EvaluationWindows) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    exported = write_graph(model, variant_formats(form, model.config.hidden_size), folder)
    rotary = exported.layout.groups[0]
    return {
        "engine": "espalier",
        "bits": form.bits,
        "path": folder.name,
        # The rotary tables are read by the row.
        "weightBytes": exported.layout.total_bytes - (rotary.end - rotary.start),
        "graph": graph_contract(exported.spec),
        "perplexity": exported_perplexity(windows, folder / "model.onnx"),
    }


def theirs(
    model: DecoderModel, kind: GGMLQuantizationType, metadata: Path, path: Path, windows: EvaluationWindows
) -> dict[str, Any]:
    weight_bytes = write_gguf(model, metadata, kind, path)
    stored = rounded(model, kind)
    with torch.inference_mode():
        score = perplexity(windows, lambda window: scored_logits(stored, window))
    bits = 8 if kind == GGMLQuantizationType.Q8_0 else 4
    return {"engine": "llama.cpp", "bits": bits, "path": path.name, "weightBytes": weight_bytes, "perplexity": score}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="one GGUF file of the LLaMA family")
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--eval-tokens", type=int, default=2048)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--levels", nargs="+", choices=OURS, default=list(OURS))
    options = parser.parse_args()

    keep_freed_memory()
    options.out.mkdir(parents=True, exist_ok=True)
    subjects = Subjects(options.out)
    missing = [level for level in options.levels if any(name not in subjects.entries for name in names_of(level))]
    if not missing:
        return
    checkpoint = load(options.model)
    tokenizer = checkpoint.tokenizer
    text = read_documents(options.eval, "evaluation")
    windows = evaluation_windows(tokenizer, text, length=LENGTH, tokens=options.eval_tokens)
    stream = tokenizer(text[0] + "\n" + text[1], add_special_tokens=False).input_ids
    (options.out / "text.json").write_text(json.dumps(stream))
    statistics = None
    for level in missing:
        formats, names = OURS[level], names_of(level)
        model = checkpoint.model
        if level != "dense":
            documents = read_documents(options.calibration, "calibration")
            rows = calibration_rows(tokenizer, documents, length=LENGTH, tokens=CALIBRATION_TOKENS, seed=0)
            statistics = statistics or collect_statistics(model, rows, bf16=bf16_is_fast())
            pruning = Pruning("cfsp-rel", sparsity=SPARSITIES[level], alignment=128, refit=True)
            model = prune(model, pruning, Calibration(rows, statistics)).model
        for name, form in zip(names, formats, strict=False):
            subjects.add(name, level, partial(ours, model, form, options.out / name, windows))
        for name, kind in zip(names[len(formats) :], THEIRS, strict=True):
            path = options.out / f"{name}.gguf"
            subjects.add(name, level, partial(theirs, model, kind, options.model, path, windows))


if __name__ == "__main__":
    main()
