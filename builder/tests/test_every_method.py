"""Every method that has a name, on every family: its budget, the same again by seed, and what ONNX Runtime computes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from espalier_builder.checkpoint.decoder import non_embedding_parameters
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.checkpoint.load import load
from espalier_builder.contracts import DEPTH_METHODS, MASK_METHODS, QuantizationMethod
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.write_graph import write_graph
from espalier_builder.method_name import NAMES, parse_method
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.prune.apply import METHODS, Pruned, choose_cut, prune
from espalier_builder.prune.decoder import HiddenStates
from espalier_builder.prune.neurons import Calibration, ffn_budget
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.quantize.calibrate import UNSCALED, Calibrated, calibrate
from espalier_builder.quantize.mixed import measure_sensitivity, mixed_formats
from espalier_builder.quantize.model import UNCALIBRATED, dequantized
from espalier_builder.quantize.qat import train_quantized
from espalier_builder.quantize.weight_format import FP32, VariantFormats, WeightFormat, variant_formats
from espalier_builder.recover.finetune import FineTuning, Schedule, fine_tune, held_out_loss
from test_families import FAMILIES, TOKENS, assert_equal, published
from tiny_llama import random_rows

# Fewer tokens than the FFNs have neurons: the Gram matrices are singular until something is added to them.
ROWS = random_rows(2, 32)
ALIGNMENT = 8
FIRST, *OTHERS = (name for name in FAMILIES if "wider" not in name)
# Patterns of a whole model aren't any (test_mask.py).
POSSIBLE = tuple(name for name in NAMES if not name.startswith("mask-magnitude-global+"))
# What a family could make a difference to: every method, and each of the ways in which one goes on.
WAYS = ("cfsp-rel+refit", "cfsp-rel+refit-one-pass", "flap+refit", "shortgpt+refit", "sparsegpt+2:4")
METHODS_OF_FAMILIES = [
    *((FIRST, name) for name in POSSIBLE),
    *((family, name) for family in OTHERS for name in (*METHODS, *WAYS) if name != "none"),
]
QUANTIZERS = (*(name for name in get_args(QuantizationMethod) if name != "none"), "gptq, mixed bits")
INT4 = WeightFormat(4, 32, False, 0)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DecoderModel]:
    folders = {name: published(FAMILIES[name], tmp_path_factory.mktemp("family"))[1] for name in (FIRST, *OTHERS)}
    return {name: load(folder).model for name, folder in folders.items()}


@cache
def calibration(model: DecoderModel, seed: int = 0) -> Calibration:
    return Calibration(ROWS, collect_statistics(model, ROWS), seed)


def pruned_by(name: str, model: DecoderModel, sparsity: float, seed: int = 0) -> Pruned:
    return prune(model, parse_method(name, sparsity, ALIGNMENT), calibration(model, seed))


@pytest.mark.parametrize("family", [FIRST, *OTHERS])
def test_calibration_walks_through_the_layers_as_the_model_does(family: str, models: dict[str, DecoderModel]) -> None:
    model = models[family]
    stream = HiddenStates(model, TOKENS, bf16=False)
    for layer in model.model.layers:
        for block in stream.blocks(layer):
            stream.go_through(block)
    logits = model.lm_head(model.model.norm(stream.states))
    assert torch.allclose(logits, model(TOKENS).logits, atol=1e-4)


def test_every_method_has_a_name() -> None:
    assert {name.partition("+")[0] for name in NAMES} == METHODS.keys() - {"none"}


@pytest.mark.parametrize(("family", "name"), METHODS_OF_FAMILIES)
def test_what_is_asked_is_removed_and_exported_as_it_is(
    family: str, name: str, models: dict[str, DecoderModel], tmp_path: Path
) -> None:
    model, base = models[family], name.partition("+")[0]
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    asked = 0.5 if base in MASK_METHODS else 0.3
    pruned = pruned_by(name, model, asked)
    assert same(before, model.state_dict())
    if family == FIRST:
        assert same(pruned.model.state_dict(), pruned_by(name, model, asked).model.state_dict())
    if base in MASK_METHODS:
        assert zeros(pruned.model) == asked * sum(weight.numel() for weight in matrices(model))
    else:
        assert_budget(pruned, model, base, asked)
    write_graph(pruned.model, VariantFormats(FP32, FP32), tmp_path)
    assert_equal(pruned.model(TOKENS).logits[0], OnnxDecoder(tmp_path / GRAPH_FILE, threads=1))


def assert_budget(pruned: Pruned, model: DecoderModel, base: str, asked: float) -> None:
    """Counted on the model itself: at least what was asked and less than a step of the method more."""
    parameters = non_embedding_parameters(model)
    gone = parameters - non_embedding_parameters(pruned.model)
    assert pruned.achieved_sparsity == pytest.approx(gone / parameters)
    if base in DEPTH_METHODS:
        layer = sum(weight.numel() for weight in model.model.layers[0].parameters())
        assert abs(gone - asked * parameters) <= layer / 2
        return
    step = (ALIGNMENT + 1) * ffn_budget(model).per_neuron
    if base == "flap":  # room for a bias of o_proj and down_proj in every layer, whether it is then added or not
        outputs = [linear for layer in model.model.layers for linear in (layer.self_attn.o_proj, layer.mlp.down_proj)]
        step += sum(linear.out_features for linear in outputs if linear.bias is None)
    assert 0 <= gone - asked * parameters < step


@pytest.mark.parametrize("family", [FIRST, "opt"])
def test_flap_makes_no_room_for_biases_that_are_there_already(family: str, models: dict[str, DecoderModel]) -> None:
    model = models[family]
    pruned = prune(model, parse_method("flap", 0.3, 1), calibration(model))
    gone = non_embedding_parameters(model) - non_embedding_parameters(pruned.model)
    assert 0 <= gone - 0.3 * non_embedding_parameters(model) < ffn_budget(model).per_neuron


def test_what_flap_removes_is_added_to_the_bias_that_is_there(models: dict[str, DecoderModel]) -> None:
    model = models["opt"]
    known = calibration(model)
    cut = choose_cut(model, parse_method("flap", 0.3, ALIGNMENT), known)
    down, mean = model.model.layers[0].mlp.down_proj, known.statistics.ffn[0].mean
    gone = [neuron for neuron in range(96) if neuron not in cut.neurons[0].tolist()]
    expected = down.bias + sum(mean[neuron] * down.weight[:, neuron] for neuron in gone)
    assert torch.allclose(cut.tensors["model.layers.0.mlp.down_proj.bias"], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["random", "minillm", "minillm-gate"])
def test_another_seed_draws_other_neurons(name: str, models: dict[str, DecoderModel]) -> None:
    first, second = (pruned_by(name, models[FIRST], 0.3, seed).model.state_dict() for seed in (0, 1))
    assert not same(first, second)


@pytest.mark.parametrize("family", [FIRST, *OTHERS])
def test_width_goes_after_depth(family: str, models: dict[str, DecoderModel], tmp_path: Path) -> None:
    shallow = pruned_by("shortgpt+refit", models[family], 0.3).model
    narrow = pruned_by("obs", shallow, 0.2)
    assert len(narrow.model.model.layers) == 2
    assert_budget(narrow, shallow, "obs", 0.2)
    write_graph(narrow.model, VariantFormats(FP32, FP32), tmp_path)
    assert_equal(narrow.model(TOKENS).logits[0], OnnxDecoder(tmp_path / GRAPH_FILE, threads=1))


@pytest.mark.parametrize("method", QUANTIZERS)
@pytest.mark.parametrize("family", [FIRST, *OTHERS])
def test_what_is_quantized_is_what_the_exported_kernels_compute(
    family: str, method: str, models: dict[str, DecoderModel], tmp_path: Path
) -> None:
    model = models[family]
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    made = quantized_by(method, model)
    assert same(before, model.state_dict())
    if family == FIRST:
        again = quantized_by(method, model)
        assert all(torch.equal(matrix.codes, again.matrices[place].codes) for place, matrix in made.matrices.items())
        assert same(dict(made.scales), dict(again.scales))
    scaled, formats = made.scaled(model), variant_formats(made.formats, model.config.hidden_size)
    # Scales alone change nothing.
    assert torch.allclose(scaled(TOKENS).logits, model(TOKENS).logits, atol=1e-3)
    write_graph(scaled, formats, tmp_path, matrices=made.matrices)
    expected = dequantized(scaled, formats, made.matrices)(TOKENS).logits[0].numpy()
    found = OnnxDecoder(tmp_path / GRAPH_FILE, threads=1).logits(TOKENS[0].tolist())
    assert np.abs(found - expected).max() < 1e-4 * float(expected.max() - expected.min())


def quantized_by(method: str, model: DecoderModel) -> Calibrated:
    if method == "rtn":
        return Calibrated(UNSCALED, UNCALIBRATED, INT4)
    if method == "gptq, mixed bits":
        formats = mixed_formats(model, measure_sensitivity(model, ROWS, INT4), INT4, 6)
        assert 0 < len(formats.widened) < 4 * len(model.model.layers)
        return calibrate(model, ROWS, formats, "gptq")
    if method != "qat":
        return calibrate(model, ROWS, INT4, cast(QuantizationMethod, method))
    start = calibrate(model, ROWS, INT4, "gptq").matrices
    trained, _ = train_quantized(
        model, model, start, ROWS, schedule=Schedule(steps=2, batch_rows=1, check_every=1, patience=9)
    )
    return Calibrated(UNSCALED, trained, INT4)


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("family", [FIRST, *OTHERS])
def test_what_is_pruned_is_trained(family: str, kind: Literal["lora", "full"], models: dict[str, DecoderModel]) -> None:
    pruned = pruned_by("cfsp-rel", models[family], 0.3).model
    settings = FineTuning(kind=kind, steps=8, batch_rows=2, check_every=8, learning_rate=3e-3)
    recovered = fine_tune(pruned, None, ROWS, ROWS, [1.0] * 3, settings).model
    assert held_out_loss(recovered, ROWS) < held_out_loss(pruned, ROWS)
    assert recovered.state_dict().keys() == pruned.state_dict().keys()


def matrices(model: DecoderModel) -> list[Tensor]:
    """What masks may take from: the linears of the layers."""
    return [weight for name, weight in model.named_parameters() if ".layers." in name and weight.ndim == 2]


def zeros(model: DecoderModel) -> int:
    return sum(int((weight == 0).sum()) for weight in matrices(model))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())
