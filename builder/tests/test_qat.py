"""Quantization-aware training: what it trains is what is exported."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from espalier_builder.contracts import Pruning, Quantization, Recipe
from espalier_builder.failure import BuilderError
from espalier_builder.quantize import qat
from espalier_builder.quantize.calibrate import calibrate
from espalier_builder.quantize.model import dequantized, places, stacked, write_back
from espalier_builder.quantize.qat import Codes, train_quantized
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import WeightFormat, variant_formats
from espalier_builder.recover.finetune import Point, Schedule, divergence
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from random_decoder import RandomDecoder

ROWS = torch.randint(3, 130, (64, 32), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("symmetric", [True, False])
def test_training_sees_the_weights_that_the_exported_kernel_multiplies_with(symmetric: bool) -> None:
    weight = torch.randn(6, 80, generator=torch.Generator().manual_seed(0))
    matrix = quantize_rtn(weight, WeightFormat(4, 32, symmetric, 4))
    part = Codes(matrix, slice(0, 6), weight)
    assert torch.equal(part(weight), matrix.dequantize())


def test_gradients_go_straight_through_rounding_and_stop_at_the_grids_ends() -> None:
    weight = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    part = Codes(quantize_rtn(weight, WeightFormat(4, 32, False, 4)), slice(0, 2), weight)
    with torch.no_grad():
        part.position[0, 0, 0] = 99.0
    part(weight).sum().backward()
    assert part.position.grad is not None
    assert part.stretch.grad is not None
    expected = part.grid.scales.detach()[..., None].expand(2, 1, 32).clone()
    expected[0, 0, 0] = 0
    assert torch.allclose(part.position.grad, expected)
    steps = part.codes().detach() - part.grid.zeros[..., None]
    assert torch.allclose(part.stretch.grad, (steps.sum(-1) * part.grid.scales))


def test_training_brings_the_variant_nearer_to_the_dense_model_and_keeps_pruned_weights_zero() -> None:
    model = RandomDecoder(biases=True).build()
    pruned = model.model.layers[0].mlp.up_proj.weight
    with torch.no_grad():
        pruned[:, ::4] = 0
    weight_format = WeightFormat(4, 64, True, 4)
    start = {place: quantize_rtn(stacked(linears), weight_format) for place, linears in places(model).items()}
    schedule = Schedule(steps=60, batch_rows=8, check_every=20)
    trained, curve = train_quantized(model, model, start, ROWS, schedule=schedule)
    formats = variant_formats(weight_format, 96)
    before, after = (divergence(dequantized(model, formats, each), model, ROWS[-2:]) for each in (start, trained))
    assert after < 0.8 * before
    assert min(point.held_out_loss for point in curve) < 0.8 * curve[0].held_out_loss
    both = trained["layers.0.ffn.gate_up"].dequantize()
    assert bool((both[-len(pruned) :, ::4] == 0).all())
    assert trained.keys() == places(model).keys()


def test_what_codes_are_judged_by_is_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = RandomDecoder().build(), dict[str, Any]()

    def train(_groups: object, **given: Any) -> tuple[Point, ...]:
        seen.update(given)
        return (Point(0, given["judge"]()),)

    monkeypatch.setattr(qat, "train", train)
    start = calibrate(model, ROWS[:4], WeightFormat(4, 32, False, 4), "gptq").matrices
    trained, (point,) = train_quantized(model, model, start, ROWS)
    assert torch.equal(seen["rows"], ROWS[:-8])
    assert all(torch.equal(matrix.codes, start[place].codes) for place, matrix in trained.items())
    student = copy.deepcopy(model)
    for place, linears in places(student).items():
        write_back(start[place], linears)
    assert point.held_out_loss == pytest.approx(divergence(student, model, ROWS[-8:]).item(), rel=1e-4)


def test_training_needs_text_to_train_on_and_text_to_judge_by() -> None:
    model = RandomDecoder().build()
    with pytest.raises(BuilderError, match="two rows"):
        train_quantized(model, model, {}, ROWS[:1])


def test_a_recipe_asks_for_training_and_gets_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qat, "SCHEDULE", Schedule(steps=2, batch_rows=4, check_every=1))
    model = RandomDecoder().build()
    stages = ModelStages(StageCache(tmp_path), DenseModel(model, "sha256:0"))
    quantization = Quantization("qat", bits=4, block_size=32, symmetric=False)
    first, second = (
        stages.quantized(model, Recipe(Pruning(), quantization), lambda: ROWS[:8], seed=0).matrices for _ in range(2)
    )
    assert [name for name, cost in stages.costs if not cost.cached] == ["quantize", "train"]
    assert all(torch.equal(first[place].codes, second[place].codes) for place in first)
    assert all(matrix.weight_format.key == "q4b32a" for matrix in first.values())
