"""Refit in one pass against ridge regression written out here, and which methods can be refitted how."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import DEPTH_METHODS, MASK_METHODS, Pruning, Recipe, digest_of_bytes
from espalier_builder.failure import BuilderError
from espalier_builder.method_name import WIDTH_METHODS, parse_method
from espalier_builder.prune.apply import choose_cut, prune
from espalier_builder.prune.cut import Cut, apply_cut, whole
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.recover.one_pass import SavedGrams, dense_grams, refit_one_pass, save_grams
from espalier_builder.recover.refit import Refit, refit
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from tiny_llama import random_rows, tiny_model

CUT = replace(
    whole(tiny_model()),
    neurons=(torch.arange(0, 48, 2), torch.arange(24), torch.arange(48)),
    groups=(torch.tensor([0, 1]), torch.tensor([1]), torch.tensor([0])),
)


def one_pass(model: DecoderModel, cut: Cut, rows: torch.Tensor, ridge: float) -> Cut:
    return refit_one_pass(model, cut, dense_grams(model, rows), ridge=ridge)


def inputs_of(model: DecoderModel, rows: torch.Tensor, linear: str) -> list[torch.Tensor]:
    """What each layer's `linear` reads in a plain forward pass, in double precision."""
    caught: list[torch.Tensor] = []
    hooks = [
        layer.get_submodule(linear).register_forward_pre_hook(lambda _, args: caught.append(args[0].flatten(0, 1)))
        for layer in model.model.layers
    ]
    model.model(rows)
    for hook in hooks:
        hook.remove()
    return [each.double() for each in caught]


def test_each_layer_is_the_ridge_regression_of_its_dense_output_on_its_dense_inputs() -> None:
    dense, rows = tiny_model(), random_rows(16)
    found = one_pass(dense, CUT, rows, ridge=0.1).tensors
    # Key/value group g holds channels 16 g .. 16 g + 15 of o_proj's input: two query heads of size 8.
    channels = [torch.cat([torch.arange(16 * g, 16 * g + 16) for g in groups]) for groups in CUT.groups]
    for linear, kept_by_layer in (("mlp.down_proj", CUT.neurons), ("self_attn.o_proj", channels)):
        for index, (x, kept) in enumerate(zip(inputs_of(dense, rows, linear), kept_by_layer, strict=True)):
            name = f"model.layers.{index}.{linear}.weight"
            if len(kept) == x.shape[1]:
                assert name not in found
                continue
            weight = dense.get_submodule(name.removesuffix(".weight")).weight.double()
            energy = x.square().sum(0)
            share = 0.1 * x.shape[1] / rows.numel()
            ridge = torch.diag(share * energy[kept] + 1e-4 * (1 + share) * energy.mean())
            gram = x[:, kept].T @ x[:, kept]
            right = x[:, kept].T @ (x @ weight.T) + ridge @ weight[:, kept].T
            assert torch.allclose(found[name].double(), torch.linalg.solve(gram + ridge, right).T, atol=1e-3)
    assert apply_cut(dense, replace(CUT, tensors=found))(rows).logits.isfinite().all()


def test_one_pass_is_sequential_refit_for_the_first_matrix_and_not_beyond() -> None:
    dense, rows = tiny_model(), random_rows(16)
    cut = choose_cut(dense, Pruning("cfsp", 0.3, 8), Calibration(rows, collect_statistics(dense, rows)))
    once, sequential = refit_one_pass(dense, cut, dense_grams(dense, rows)).tensors, refit(dense, cut, rows).tensors
    first, *others = (f"model.layers.{index}.mlp.down_proj.weight" for index in range(3))
    assert torch.allclose(once[first], sequential[first], atol=1e-4)
    assert not any(torch.allclose(once[name], sequential[name], atol=1e-3) for name in others)


def test_saved_gram_matrices_are_the_same_as_often_as_they_are_read(tmp_path: Path) -> None:
    dense, rows = tiny_model(), random_rows()
    save_grams(dense_grams(dense, rows), tmp_path)
    saved = SavedGrams(tmp_path, 3)
    for one, other, again in itertools.zip_longest(dense_grams(dense, rows), saved, saved):
        assert torch.equal(one.ffn, other.ffn)
        assert torch.equal(one.attention, again.attention)
        assert one.tokens == again.tokens == rows.numel()


def test_one_pass_over_the_calibration_rows_serves_every_method_and_sparsity(tmp_path: Path) -> None:
    stages = ModelStages(StageCache(tmp_path), DenseModel(tiny_model(), digest_of_bytes(b"tiny")))
    calibration = stages.calibration(random_rows(), 0)
    for method, sparsity in (("cfsp-rel", 0.2), ("cfsp-rel", 0.3), ("flap", 0.2)):
        stages.pruned(parse_method(f"{method}+refit-one-pass", sparsity, 8), calibration)
    assert [cost.cached for stage, cost in stages.costs if stage == "grams"] == [False, True, True]


@pytest.mark.parametrize(
    ("method", "way"),
    [
        *itertools.product(WIDTH_METHODS, ("+refit", "+refit-one-pass")),
        *((method, "+refit") for method in DEPTH_METHODS),
    ],
)
def test_every_method_that_leaves_something_to_make_good_is_refitted(method: str, way: str) -> None:
    dense, rows = tiny_model(layers=4), random_rows(8, 64)
    calibration = Calibration(rows, collect_statistics(dense, rows))

    def error(name: str) -> float:
        pruned = prune(dense, parse_method(name, 0.25, 8), calibration).model
        return float((pruned.model(rows).last_hidden_state - dense.model(rows).last_hidden_state).square().mean())

    assert error(method + way) < error(method)


UNREFITTED = {
    "obs": "refits always",
    **dict.fromkeys(MASK_METHODS, "removes no input"),
}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((method + way, reason) for method, reason in UNREFITTED.items() for way in ("+refit", "+refit-one-pass")),
        *((f"{method}+refit-one-pass", "seen by itself") for method in DEPTH_METHODS),
    ],
)
def test_a_method_that_leaves_nothing_to_make_good_says_why(name: str, reason: str) -> None:
    with pytest.raises(BuilderError, match=reason) as caught:
        parse_method(name, 0.25, 8)
    assert caught.value.code == "METHOD_REFITS_NOT"
    method, _, way = name.partition("+")
    pruning = {"method": method, "sparsity": 0.25, "refit": True if way == "refit" else "one-pass"}
    with pytest.raises(BuilderError, match="refit") as caught:
        Recipe.from_json({"schemaVersion": 1, "pruning": pruning, "quantization": {"method": "none"}})
    assert caught.value.code == "CONTRACT_VIOLATED"


def test_the_layer_before_a_gap_aims_behind_it() -> None:
    """Its down_proj is the ridge regression of what lacks of the dense stream behind the gap, tokens weighted."""
    dense, rows = tiny_model(layers=4), random_rows(64)
    cut = replace(whole(dense), layers=(0, 3), neurons=(torch.arange(48),) * 2, groups=(torch.arange(2),) * 2)
    found = refit(dense, cut, rows, settings=Refit(correction=1.0)).tensors
    states = dense.model(rows, output_hidden_states=True).hidden_states
    x, weight = inputs_of(dense, rows, "mlp.down_proj")[0], dense.model.layers[0].mlp.down_proj.weight.double()
    reached, wanted = (states[at].flatten(0, 1).double() for at in (1, 3))
    squares = reached.square().sum(1, keepdim=True)
    trust = (squares.median() / squares).clamp(max=1)
    gram = x.T @ (trust * x)
    share, energy = 10 * 48 / rows.numel(), gram.diagonal()
    ridge = torch.diag(share * energy + 1e-4 * (1 + share) * energy.mean())
    expected = weight + torch.linalg.solve(gram + ridge, x.T @ (trust * (wanted - reached))).T
    assert torch.allclose(found["model.layers.0.mlp.down_proj.weight"].double(), expected, atol=1e-3)
