"""4 and 8 bits in one variant: sensitivities by the definition, the choice by brute force, bytes and export exactly."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.shape import linear_formats, shape_of
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.export.write_graph import write_graph
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.page.removed import ExportedWeights
from espalier_builder.quantize.mixed import measure_sensitivity, mixed_formats, widen
from espalier_builder.quantize.model import dequantized, places, stacked
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.saved_matrices import load_matrices, save_matrices
from espalier_builder.quantize.sequential import quantize_sequentially
from espalier_builder.quantize.weight_format import MixedFormats, WeightFormat, variant_formats
from random_decoder import RandomDecoder, torch_logits

ROWS = torch.randint(3, 130, (8, 32), generator=torch.Generator().manual_seed(1))
NARROW = WeightFormat(4, 32, False, 0)
NAMES = ("attention.qkv", "attention.output", "ffn.gate_up", "ffn.down")


def stored_bytes(model: LlamaForCausalLM, linear: WeightFormat | MixedFormats) -> int:
    """Codes, scales and zero points of the layers' matrices, tensor by tensor of the layout."""
    layout = lay_out(spec_of(model), variant_formats(linear, 96))
    parts = ("data", "scales", "zero_points")
    return sum(
        tensor.size_bytes
        for tensor in layout.tensors
        if tensor.name.startswith("layers.") and tensor.name.endswith(parts)
    )


def kl(model: LlamaForCausalLM, other: LlamaForCausalLM, tokens: Tensor) -> float:
    """KL(model || other) in nats per token at every second token, written out."""
    p, q = (each(tokens, use_cache=False).logits[:, 1::2].double().softmax(-1) for each in (model, other))
    return float((p * (p / q).log()).sum(-1).mean())


def test_a_matrix_counts_by_what_the_output_diverges_when_it_alone_is_rounded() -> None:
    model = RandomDecoder().build()
    before = copy.deepcopy(model.state_dict())
    found = measure_sensitivity(model, ROWS, NARROW)
    assert list(found) == [f"layers.{layer}.{name}" for layer in range(2) for name in NAMES]
    for place, value in found.items():
        other = copy.deepcopy(model)
        linears = places(other)[place]
        rounded = quantize_rtn(torch.cat([linear.weight for linear in linears]), NARROW).dequantize()
        for linear, part in zip(linears, rounded.split([linear.out_features for linear in linears]), strict=True):
            linear.weight.copy_(part)
        assert value == pytest.approx(kl(model, other, ROWS[::2]), rel=1e-3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_keeps_the_budget_and_is_near_the_best_of_all_choices(seed: int) -> None:
    chance = np.random.default_rng(seed)
    names = [f"m{index}" for index in range(9)]
    gains = dict(zip(names, chance.random(9), strict=True))
    extra = dict(zip(names, chance.integers(1, 40, 9).tolist(), strict=True))
    budget = int(chance.integers(0, sum(extra.values()) + 1))
    chosen = widen(gains, extra, budget)
    spent = sum(extra[name] for name in chosen)
    assert spent <= budget
    assert all(spent + extra[name] > budget for name in names if name not in chosen)
    subsets = itertools.chain.from_iterable(itertools.combinations(names, size) for size in range(10))
    best = max(sum(gains[name] for name in part) for part in subsets if sum(extra[name] for name in part) <= budget)
    left_out = [gains[name] for name in names if name not in chosen]
    # Sums of the same numbers in another order: sets have none.
    assert sum(gains[name] for name in chosen) >= best - max(left_out, default=0.0) - 1e-9


@pytest.mark.parametrize("average", [4.01, 4.5, 5.0, 6.3, 7.99])
def test_bytes_stay_below_the_average_that_was_asked_and_come_near_it(average: float) -> None:
    model = RandomDecoder().build()
    formats = mixed_formats(model, measure_sensitivity(model, ROWS, NARROW), NARROW, average)
    narrow, wide = stored_bytes(model, NARROW), stored_bytes(model, formats.wide)
    budget = narrow + (average - 4) / 4 * (wide - narrow)
    smallest = min(stacked(linears).numel() for linears in places(model).values())
    assert budget - smallest < stored_bytes(model, formats) <= budget
    shape = shape_of(spec_of(model), variant_formats(formats, 96))
    assert linear_formats(shape) == formats or formats.widened == frozenset()


def test_what_is_exported_is_what_was_rounded(tmp_path: Path) -> None:
    model = RandomDecoder(biases=True).build()
    formats = mixed_formats(model, measure_sensitivity(model, ROWS, NARROW), NARROW, 6)
    assert 0 < len(formats.widened) < 8
    made = quantize_sequentially(model, ROWS, formats)
    save_matrices(made, tmp_path / "matrices")
    matrices = load_matrices(tmp_path / "matrices", formats)
    assert {place for place, matrix in matrices.items() if matrix.weight_format.bits == 8} == formats.widened
    variant = variant_formats(formats, 96)
    exported = write_graph(model, variant, tmp_path, matrices=matrices)
    rounded = dequantized(model, variant, matrices)
    tokens = ROWS[0].tolist()
    logits = OnnxDecoder(tmp_path / GRAPH_FILE, threads=1).logits(tokens)
    assert np.abs(logits - torch_logits(rounded, tokens).numpy()).max() < 1e-3
    manifest = {
        "shape": shape_of(exported.spec, exported.formats),
        "tensors": [tensor.to_json() for tensor in exported.layout.tensors],
    }
    weights = ExportedWeights(tmp_path, manifest)
    for place, linears in places(rounded).items():
        weight = stacked(linears)
        assert torch.equal(weights.matrix(place, weight.shape[1]), weight)
