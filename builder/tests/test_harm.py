"""What each layer's loss does to the model's output, and the widths that follow from it."""

from __future__ import annotations

import copy
import itertools

import pytest

from espalier_builder.failure import BuilderError
from espalier_builder.prune.budget import FfnBudget, allocate_least_harm
from espalier_builder.prune.harm import STRIDE, measure_harm
from tiny_llama import random_rows, tiny_model


def test_harm_is_the_divergence_of_a_model_that_lacks_one_layers_ffn_on_rows_that_were_not_fitted_to() -> None:
    dense, rows = tiny_model(), random_rows(8)
    harm = measure_harm(dense, rows)
    for layer in range(len(dense.model.layers)):
        lacking = copy.deepcopy(dense)
        lacking.model.layers[layer].mlp.down_proj.weight.zero_()
        judged = rows[-2:]
        p, q = (model(judged).logits[:, STRIDE - 1 :: STRIDE].softmax(-1) for model in (dense, lacking))
        expected = (p * (p / q).log()).sum(-1).mean().item()
        assert harm.widths[layer][-1] == 0
        # Never falling: chance may make a milder cut look worse on so little text.
        assert harm.kl[layer][-1] == pytest.approx(max(expected, harm.kl[layer][-2]), rel=1e-3)
        assert (harm.widths[layer][0], harm.kl[layer][0]) == (48, 0.0)
        assert list(harm.widths[layer]) == sorted(harm.widths[layer], reverse=True)
        assert list(harm.kl[layer]) == sorted(harm.kl[layer])


def test_widths_of_least_harm_are_those_that_trying_all_finds() -> None:
    widths = [[32, 24, 8, 0], [32, 16, 0], [24, 12, 0]]
    harm = [[0.0, 0.3, 0.35, 9.0], [0.0, 0.1, 1.0], [0.0, 0.5, 0.6]]
    budget = FfnBudget((32, 32, 24), parameters=1_000, per_neuron=10)

    def cost(kept: tuple[int, ...]) -> float:
        def between(at: int, own: list[int], lost: list[float]) -> float:
            right = next(i for i in range(len(own)) if own[i] <= at)
            if own[right] == at:
                return lost[right]
            share = (own[right - 1] - at) / (own[right - 1] - own[right])
            return lost[right - 1] + share * (lost[right] - lost[right - 1])

        return sum(between(*each) for each in zip(kept, widths, harm, strict=True))

    options = itertools.product(range(4, 33, 4), range(4, 33, 4), range(4, 25, 4))
    best = min(cost(kept) for kept in options if sum(kept) == 48)
    found = allocate_least_harm(budget, 0.4, widths, harm, 4)
    assert sum(found) == 48
    assert cost(tuple(found)) == pytest.approx(best)


def test_a_budget_that_no_widths_meet_is_refused() -> None:
    budget = FfnBudget((32, 32), parameters=1_000, per_neuron=10)
    with pytest.raises(BuilderError, match="FFNs alone give at most"):
        allocate_least_harm(budget, 0.6, [[32, 0]] * 2, [[0.0, 1.0]] * 2, 8)
