"""What each layer's loss does to the model's output, and the widths that follow from it."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.failure import BuilderError
from espalier_builder.prune.budget import FfnBudget, allocate_least_harm, monotone_curve
from espalier_builder.prune.harm import STRIDE, WINDOW, _windows, measure_harm
from espalier_builder.recover.ridge import trust, with_ridge
from espalier_builder.recover.surgeon import eliminate
from tiny_llama import random_rows, tiny_model


def divergence(dense: LlamaForCausalLM, other: LlamaForCausalLM, rows: Tensor) -> float:
    p, q = (model(rows).logits[:, STRIDE - 1 :: STRIDE].softmax(-1) for model in (dense, other))
    return float((p * (p / q).log()).sum(-1).mean())


def test_harm_without_a_layers_ffn_is_the_divergence_of_the_model_that_lacks_it_on_all_rows() -> None:
    dense, rows = tiny_model(), random_rows(8)
    harm = measure_harm(dense, rows)
    for layer in range(len(dense.model.layers)):
        lacking = copy.deepcopy(dense)
        lacking.model.layers[layer].mlp.down_proj.weight.zero_()
        expected = divergence(dense, lacking, rows)
        assert harm.widths[layer][-1] == 0
        # Never falling: chance may make a milder cut look worse on so little text.
        assert harm.kl[layer][-1] == pytest.approx(max(expected, harm.kl[layer][-2]), rel=1e-3)
        assert (harm.widths[layer][0], harm.kl[layer][0]) == (48, 0.0)
        assert list(harm.widths[layer]) == sorted(harm.widths[layer], reverse=True)
        assert list(harm.kl[layer]) == sorted(harm.kl[layer])


def test_each_half_of_the_rows_is_judged_by_what_was_solved_on_the_other() -> None:
    dense, rows = tiny_model(), random_rows(8)
    harm = measure_harm(dense, rows)
    expected = []
    for fitted, judged in ((rows[:4], rows[4:]), (rows[4:], rows[:4])):
        cut = copy.deepcopy(dense)
        down = cut.model.layers[0].mlp.down_proj
        inputs: list[Tensor] = []
        hook = down.register_forward_pre_hook(lambda _, args, inputs=inputs: inputs.append(args[0].flatten(0, 1)))
        after = dense(fitted, output_hidden_states=True).hidden_states[1].flatten(0, 1)
        cut(fitted)
        hook.remove()
        weighted = inputs[0] * trust(after).sqrt()
        inverse = torch.linalg.inv(with_ridge(weighted.T @ weighted, fitted.numel()))
        kept, weight = eliminate(down.weight, inverse, 44)
        down.weight.zero_()
        down.weight[:, kept] = weight
        expected.append(divergence(dense, cut, judged))
    assert harm.widths[0][1] == 44
    assert harm.kl[0][1] == pytest.approx(sum(expected) / 2, rel=1e-3)


def test_long_rows_are_judged_in_windows_that_wander() -> None:
    rows = torch.arange(3)[:, None] * 10_000 + torch.arange(2 * WINDOW + 7)
    assert _windows(rows, 8)[:, 0].tolist() == [0, 10_000 + WINDOW, 20_000]
    assert _windows(rows, 8).shape == (3, WINDOW)
    assert _windows(rows, 1)[:, 0].tolist() == [0]


def test_a_monotone_curve_passes_through_its_points_and_bends_between_them_as_the_textbook_says() -> None:
    x, y = np.array([0.0, 2.0, 3.0, 7.0, 8.0]), np.array([9.0, 4.0, 4.0, 1.0, 0.0])
    assert monotone_curve(x, y, x) == pytest.approx(y)
    fine = monotone_curve(x, y, np.linspace(0, 8, 321))
    assert bool((np.diff(fine) <= 1e-12).all())
    # Between 3 and 7: slope 0 after the flat piece, and the weighted harmonic mean of -3/4 and -1 at 7.
    h, t, slope = 4.0, 0.25, -(6 + 9) / (6 / 0.75 + 9 / 1.0)
    by_hand = 4.0 * (1 - t) ** 2 * (1 + 2 * t) + 1.0 * t**2 * (3 - 2 * t) - h * slope * t**2 * (1 - t)
    assert monotone_curve(x, y, np.array([4.0]))[0] == pytest.approx(by_hand)
    assert monotone_curve(x[:2], y[:2], np.array([1.0]))[0] == pytest.approx(6.5)


def test_widths_of_least_harm_are_those_that_trying_all_finds() -> None:
    widths = [[32, 24, 8, 0], [32, 16, 0], [24, 12, 0]]
    harm = [[0.0, 0.3, 0.35, 9.0], [0.0, 0.1, 1.0], [0.0, 0.5, 0.6]]
    budget = FfnBudget((32, 32, 24), parameters=1_000, per_neuron=10)

    def cost(kept: tuple[int, ...]) -> float:
        return sum(
            monotone_curve(np.array(own[::-1]), np.array(lost[::-1]), np.array([at]))[0]
            for at, own, lost in zip(kept, widths, harm, strict=True)
        )

    options = itertools.product(range(4, 33, 4), range(4, 33, 4), range(4, 25, 4))
    best = min(cost(kept) for kept in options if sum(kept) == 48)
    found = allocate_least_harm(budget, 0.4, widths, harm, 4)
    assert sum(found) == 48
    assert cost(tuple(found)) == pytest.approx(best)


def test_a_budget_that_no_widths_meet_is_refused() -> None:
    budget = FfnBudget((32, 32), parameters=1_000, per_neuron=10)
    with pytest.raises(BuilderError, match="FFNs alone give at most"):
        allocate_least_harm(budget, 0.6, [[32, 0]] * 2, [[0.0, 1.0]] * 2, 8)
