"""Perplexity of every pruning method on one model at equal budgets, with and without refit.

    python bench/pruning_methods.py --model FILE.gguf|DIR --calibration TRAIN.jsonl --eval VALID.jsonl

Protocol (that of the published methods' results that we compare with): calibration on 16 seeded random rows of 1,024
tokens; evaluation on the first 3 documents, each BOS + tokens in windows of 1,024 that don't overlap, every token but
BOS scored once, fp32. Sparsity counts all non-embedding parameters: 15 % are 20 % of SmolLM2's FFN neurons.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from espalier_builder.checkpoint.load import load
from espalier_builder.contracts import Pruning, PruningMethod
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.process import keep_freed_memory
from espalier_builder.prune.apply import Calibration, prune
from espalier_builder.prune.precision import bf16_is_fast
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import EvaluationWindows, evaluation_windows

EVERYTHING = 1 << 40
METHODS: tuple[tuple[PruningMethod, bool], ...] = (
    ("cfsp-rel", True),
    ("cfsp", False),
    ("cfsp", True),
    ("cfsp-rel", False),
    ("magnitude", False),
    ("magnitude", True),
)


@dataclass(frozen=True, slots=True)
class Measured:
    perplexity: float
    bits_per_byte: float


def measure(model: LlamaForCausalLM, documents: list[EvaluationWindows]) -> Measured:
    nll = 0.0
    for document in documents:
        for window in document.windows:
            logits = scored_logits(model, window)
            nll += torch.nn.functional.cross_entropy(logits, window.targets, reduction="sum").item()
    tokens = sum(document.tokens for document in documents)
    return Measured(math.exp(nll / tokens), nll / math.log(2) / sum(document.text_bytes for document in documents))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--documents", type=int, default=3)
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--alignment", type=int, default=32)
    options = parser.parse_args()

    keep_freed_memory()
    checkpoint = load(options.model)
    model, tokenizer, length = checkpoint.model, checkpoint.tokenizer, options.length
    texts = read_documents(options.eval, "evaluation")[: options.documents]
    documents = [evaluation_windows(tokenizer, [text], length=length, tokens=EVERYTHING) for text in texts]
    calibration_text = read_documents(options.calibration, "calibration")
    rows = calibration_rows(tokenizer, calibration_text, length=length, tokens=options.rows * length, seed=0)

    print("| method | asked | achieved | perplexity | bits per byte | prune and refit, s |\n|---|---|---|---|---|---|")
    dense = measure(model, documents)
    print(f"| dense | | 0 | {dense.perplexity:.2f} | {dense.bits_per_byte:.4f} | |", flush=True)
    calibration = Calibration(rows, collect_statistics(model, rows, bf16=bf16_is_fast()))
    for sparsity in options.sparsity:
        for method, refit in METHODS:
            started = time.perf_counter()
            pruned = prune(model, Pruning(method, sparsity, options.alignment, refit), calibration)
            seconds = time.perf_counter() - started
            result = measure(pruned.model, documents)
            name = f"{method}{' + refit' if refit else ''}"
            figures = f"{result.perplexity:.2f} | {result.bits_per_byte:.4f} | {seconds:.0f}"
            print(f"| {name} | {sparsity:g} | {pruned.achieved_sparsity:.4f} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
