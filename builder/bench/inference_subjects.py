"""Makes what `bench/inference` times: one model's levels in our formats and in llama.cpp's, each with its perplexity.

    python bench/inference_subjects.py --model FILE.gguf --calibration TRAIN.jsonl --eval VALID.jsonl --out DIR

Writes graphs, GGUF files and OpenVINO models of the same weights, and `subjects.json` that names them. 4 bits at block
128 are GPTQ's, on calibration text; everything else is rounded. Perplexity is of the first tokens of the evaluation
text: ours by the exported graph in ONNX Runtime, OpenVINO's by itself, llama.cpp's by PyTorch in fp32 with the weights
as its types leave them. OpenVINO must be importable; it is no dependency of the builder. The level `0.5B` is a larger
shape with random weights, which has a speed and no quality. What is there already isn't made again, stage by stage: a
run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from gguf import GGMLQuantizationType
from transformers import LlamaConfig, LlamaForCausalLM

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import Pruning, Quantization, Recipe, digest_of_file
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.export.graph import graph_contract
from espalier_builder.export.write_graph import write_graph
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.process import keep_freed_memory
from espalier_builder.quantize.model import UNCALIBRATED, Matrices
from espalier_builder.quantize.weight_format import linear_format, variant_formats
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import EvaluationWindows, Window, evaluation_windows
from llama_gguf import rounded, write_gguf
from openvino_graph import Bits, ExportedWeights, OpenVinoDecoder, build

LENGTH = 512
CALIBRATION_TOKENS = 8192
SEED = 0
FP32 = Quantization()
Q8 = Quantization("rtn", bits=8, block_size=128, symmetric=True)
Q4_SMALL = Quantization("rtn", bits=4, block_size=32, symmetric=False)
Q4 = Quantization("gptq", bits=4, block_size=128, symmetric=False)
Q4_ROUNDED = Quantization("rtn", bits=4, block_size=128, symmetric=False)
THEIRS = (GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_0)


@dataclass(frozen=True, slots=True)
class Level:
    """`tag` stands before the names of its subjects; `ours` are the formats in which we time it."""

    tag: str
    ours: tuple[Quantization, ...]
    sparsity: float | None

    @property
    def pruning(self) -> Pruning:
        return Pruning("cfsp-rel", self.sparsity, alignment=128, refit=True) if self.sparsity else Pruning()

    def name_of(self, quantization: Quantization) -> str:
        return self.tag + linear_format(quantization).key

    @property
    def openvino(self) -> dict[str, tuple[Quantization, Bits]]:
        """By name: our format whose weights it has, and its bits. Of dense levels only."""
        if self.sparsity:
            return {}
        return {f"{self.tag}ov-int{one.bits}": (one, one.bits) for one in self.ours if one in (Q8, Q4, Q4_ROUNDED)}

    @property
    def names(self) -> list[str]:
        peers = [self.tag + kind.name.lower() for kind in THEIRS]
        return [*(self.name_of(one) for one in self.ours), *peers, *self.openvino]


RANDOM = "0.5B"
LEVELS = {
    "dense": Level("", (FP32, Q8, Q4_SMALL, Q4), 0.0),
    "pruned 20 %": Level("p20-", (Q8, Q4), 0.2),
    "pruned 40 %": Level("p40-", (Q8, Q4), 0.4),
    RANDOM: Level("m-", (Q8, Q4_ROUNDED), None),
}


def perplexity(windows: EvaluationWindows, logits_of: Callable[[Window], torch.Tensor]) -> float:
    nll = sum(
        torch.nn.functional.cross_entropy(logits_of(window), window.targets, reduction="sum").item()
        for window in windows.windows
    )
    return float(torch.tensor(nll / windows.tokens).exp())


def exported_perplexity(windows: EvaluationWindows, graph: Path) -> float:
    decoder = OnnxDecoder(graph, threads=torch.get_num_threads())
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
        print(f"{name}: perplexity {self.entries[name]['perplexity']}", flush=True)


@dataclass(frozen=True, slots=True)
class Source:
    """What a level's subjects are made of. No `windows`: it has no quality. `metadata`: a GGUF file."""

    model: DecoderModel
    matrices: Callable[[Quantization], Matrices]
    windows: EvaluationWindows | None
    metadata: Path


def ours(source: Source, quantization: Quantization, folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    formats = variant_formats(linear_format(quantization), source.model.config.hidden_size)
    exported = write_graph(source.model, formats, folder, matrices=source.matrices(quantization))
    rotary = exported.layout.groups[0]
    windows = source.windows
    return {
        "engine": "espalier",
        "bits": formats.linear.main.bits,
        "path": folder.name,
        # The rotary tables are read by the row.
        "weightBytes": exported.layout.total_bytes - (rotary.end - rotary.start),
        "graph": graph_contract(exported.spec),
        "perplexity": None if windows is None else exported_perplexity(windows, folder / "model.onnx"),
    }


def theirs(source: Source, kind: GGMLQuantizationType, path: Path) -> dict[str, Any]:
    weight_bytes = write_gguf(source.model, source.metadata, kind, path)
    score = None
    if source.windows is not None:
        stored = rounded(source.model, kind)
        with torch.inference_mode():
            score = perplexity(source.windows, lambda window: scored_logits(stored, window))
    bits = 8 if kind == GGMLQuantizationType.Q8_0 else 4
    return {"engine": "llama.cpp", "bits": bits, "path": path.name, "weightBytes": weight_bytes, "perplexity": score}


def openvino(source: Source, exported: Path, weight_bytes: int, bits: Bits, path: Path) -> dict[str, Any]:
    weights = ExportedWeights(exported)
    ov.save_model(build(weights, bits), path, compress_to_fp16=False)
    score = None
    if source.windows is not None:
        decoder = OpenVinoDecoder(build(weights, bits, every_token=True), torch.get_num_threads())

        def logits_of(window: Window) -> torch.Tensor:
            decoder.forget()
            return torch.from_numpy(decoder.logits(window.inputs.tolist(), 0))[window.positions]

        score = perplexity(source.windows, logits_of)
    return {"engine": "openvino", "bits": bits, "path": path.name, "weightBytes": weight_bytes, "perplexity": score}


def random_model(vocabulary: int) -> DecoderModel:
    """Some 0.49 billion parameters."""
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval()
    model.requires_grad_(requires_grad=False)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="one GGUF file of the LLaMA family")
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--eval-tokens", type=int, default=2048)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=list(LEVELS))
    options = parser.parse_args()

    keep_freed_memory()
    options.out.mkdir(parents=True, exist_ok=True)
    subjects = Subjects(options.out)
    missing = [level for level in options.levels if any(name not in subjects.entries for name in LEVELS[level].names)]
    if not missing:
        return
    cache = StageCache(options.out / "stages")
    checkpoint = load_cached(options.model, cache)
    tokenizer = checkpoint.tokenizer
    text = read_documents(options.eval, "evaluation")
    windows = evaluation_windows(tokenizer, text, length=LENGTH, tokens=options.eval_tokens)
    stream = tokenizer(text[0] + "\n" + text[1], add_special_tokens=False).input_ids
    (options.out / "text.json").write_text(json.dumps(stream))
    documents = read_documents(options.calibration, "calibration")
    rows = calibration_rows(tokenizer, documents, length=LENGTH, tokens=CALIBRATION_TOKENS, seed=SEED)
    stages = ModelStages(cache, DenseModel(checkpoint.model, digest_of_file(options.model)))

    def pruned_source(level: Level) -> Source:
        model = checkpoint.model
        if level.sparsity:
            model = stages.pruned(level.pruning, stages.calibration(rows, SEED)).model

        def matrices(quantization: Quantization) -> Matrices:
            return stages.quantized(model, Recipe(level.pruning, quantization), lambda: rows, SEED).matrices

        return Source(model, matrices, windows, options.model)

    for name in missing:
        level = LEVELS[name]
        if name == RANDOM:
            source = Source(random_model(len(tokenizer)), lambda _: UNCALIBRATED, None, options.model)
        else:
            source = pruned_source(level)
        add_level(subjects, name, source, options.out)


def add_level(subjects: Subjects, name: str, source: Source, out: Path) -> None:
    level = LEVELS[name]
    for quantization in level.ours:
        subject = level.name_of(quantization)
        subjects.add(subject, name, partial(ours, source, quantization, out / subject))
    for kind in THEIRS:
        subject = level.tag + kind.name.lower()
        subjects.add(subject, name, partial(theirs, source, kind, out / f"{subject}.gguf"))
    for subject, (quantization, bits) in level.openvino.items():
        exported = level.name_of(quantization)
        weight_bytes = subjects.entries[exported]["weightBytes"]
        path = out / f"{subject}.xml"
        subjects.add(subject, name, partial(openvino, source, out / exported, weight_bytes, bits, path))


if __name__ == "__main__":
    main()
