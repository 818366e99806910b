"""Scores, budgets, statistics and refit against formulas written out here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from espalier_builder.checkpoint.decoder import ffn_widths, heads_of, non_embedding_parameters
from espalier_builder.contracts import Pruning
from espalier_builder.failure import BuilderError
from espalier_builder.method_name import parse_method
from espalier_builder.prune.apply import choose_cut, prune
from espalier_builder.prune.budget import FfnBudget, allocate
from espalier_builder.prune.cfsp import cfsp_rel_scores, cfsp_scores, coarse_importance, published_contrast
from espalier_builder.prune.cut import Cut, apply_cut, load_cut, save_cut, whole
from espalier_builder.prune.depth import angular_removal, layers_to_keep, shortgpt_removal, tail_removal
from espalier_builder.prune.flap import fluctuation, layer_scores
from espalier_builder.prune.magnitude import magnitude_scores
from espalier_builder.prune.neurons import Calibration, neuron_scores
from espalier_builder.prune.precision import calibrates_in_bf16
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.recover.refit import Refit, refit
from espalier_builder.recover.ridge import PANEL, add_gram, factor, mirror, solve
from espalier_builder.recover.surgeon import eliminate
from tiny_llama import random_rows, tiny_model

H, F = 5, 7


def random_ffn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    down, up, gate = (torch.randn(shape, generator=chance) for shape in ((H, F), (F, H), (F, H)))
    return down, up, gate, torch.rand(F, generator=chance)


def calibrate(model: torch.nn.Module, rows: torch.Tensor | None = None) -> Calibration:
    rows = random_rows() if rows is None else rows
    return Calibration(rows, collect_statistics(model, rows))


def test_published_cfsp_scores_follow_the_formula_and_order_like_the_activation_alone() -> None:
    down, up, gate, act = random_ffn()
    expected = []
    for f in range(F):
        columns = [(down[:, f] * act[f]).abs(), up[f].abs(), gate[f].abs()]
        expected.append(sum((column / column.sum()).mean() for column in columns) * act[f])
    scores = cfsp_scores(down, (up, gate), act)
    assert torch.allclose(scores, torch.stack(expected))
    assert torch.equal(scores.argsort(), act.argsort())


def test_relative_cfsp_scores_normalise_over_neurons() -> None:
    down, up, gate, act = random_ffn()
    expected = torch.zeros(F)
    for h in range(H):
        for weights in (down[h].abs() * act, up[:, h].abs(), gate[:, h].abs()):
            expected += weights / weights.sum() * act / H
    assert torch.allclose(cfsp_rel_scores(down, (up, gate), act), expected)
    mlp, energy = tiny_model().model.layers[0].mlp, torch.rand(48)
    weights = (mlp.down_proj.weight, (mlp.gate_proj.weight, mlp.up_proj.weight), energy)
    assert torch.allclose(neuron_scores("cfsp-rel", mlp, energy), cfsp_rel_scores(*weights))
    assert torch.allclose(neuron_scores("cfsp", mlp, energy), cfsp_scores(*weights))


def test_magnitude_is_the_norm_of_all_that_leaves_with_a_neuron() -> None:
    down, up, gate, _ = random_ffn()
    expected = [torch.cat([down[:, f], up[f], gate[f]]).norm() for f in range(F)]
    assert torch.allclose(magnitude_scores(down, (up, gate)), torch.stack(expected))


def test_the_published_contrast_is_13_at_the_papers_calibration_size() -> None:
    assert published_contrast(131_072) == pytest.approx(13.1, abs=0.01)
    assert coarse_importance((0.1, 0.3), 10.0)[1] == pytest.approx(1 / (1 + math.exp(-1.0)))


def test_statistics_are_those_of_a_plain_forward_pass() -> None:
    model, rows = tiny_model(), random_rows()
    inputs: list[torch.Tensor] = []
    hooks = [
        layer.mlp.down_proj.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
        for layer in model.model.layers
    ]
    states = model.model(rows, output_hidden_states=True).hidden_states
    for hook in hooks:
        hook.remove()
    statistics = collect_statistics(model, rows)
    for index, norm in enumerate(statistics.activation_norms):
        expected = inputs[index].square().sum(1).mean(0).sqrt()
        assert torch.allclose(norm, expected, rtol=1e-4)
    # The last of transformers' hidden states is after the final norm, so only the layers before it compare.
    for before, after, angle in zip(states[:-2], states[1:-1], statistics.angles[:-1], strict=True):
        cosine = (before * after).sum(-1) / before.norm(dim=-1) / after.norm(dim=-1)
        assert angle == pytest.approx((cosine.clamp(-1, 1).arccos() / math.pi).mean().item(), rel=1e-4)


@pytest.mark.parametrize("sparsity", [0.05, 0.1, 0.25, 0.4, 0.6])
@pytest.mark.parametrize("alignment", [1, 8, 32])
def test_the_global_budget_holds_to_one_alignment(sparsity: float, alignment: int) -> None:
    budget = FfnBudget(widths=(1536,) * 30, parameters=106_203_456, per_neuron=1728)
    importance = [1 + math.sin(layer) / 2 + (3 if layer == 0 else 0) for layer in range(30)]
    kept = allocate(budget, sparsity, importance, alignment)
    assert all(width % alignment == 0 and 0 < width <= 1536 for width in kept)
    assert 0 <= budget.achieved(kept) - sparsity < (alignment + 1) * 1728 / 106_203_456


def test_equal_importance_gives_equal_widths_and_more_importance_gives_more() -> None:
    budget = FfnBudget(widths=(64,) * 4, parameters=100_000, per_neuron=100)
    assert allocate(budget, 0.064, [1.0] * 4, 8) == [48] * 4
    kept = allocate(budget, 0.064, [1.0, 1.1, 0.9, 1.0], 1)
    assert kept[1] > kept[0] == kept[3] > kept[2]


def test_where_a_layer_would_keep_more_than_all_every_deviation_shrinks_alike() -> None:
    budget = FfnBudget(widths=(100,) * 4, parameters=100_000, per_neuron=100)
    # Half is kept, at importance 10 of a mean of 3.5 by far more than all: deviations shrink by 0.5 / (10 / 7 - 0.5).
    shares = [0.5 + (each / 7 - 0.5) * 0.5 / (10 / 7 - 0.5) for each in (10, 2, 1, 1)]
    assert [100 * share for share in shares] == pytest.approx([100, 38.46, 30.77, 30.77], abs=0.01)
    assert allocate(budget, 0.2, [10.0, 2.0, 1.0, 1.0], 1) == [100, 38, 31, 31]


def test_a_budget_that_ffns_cannot_meet_is_refused_with_what_they_can() -> None:
    budget = FfnBudget(widths=(64,) * 4, parameters=100_000, per_neuron=100)
    with pytest.raises(BuilderError, match=r"at most 0\.224") as caught:
        allocate(budget, 0.3, [1.0] * 4, 8)
    assert caught.value.code == "BUDGET_IMPOSSIBLE"
    with pytest.raises(BuilderError) as caught:
        allocate(budget, 0.1, [1.0] * 4, 128)
    assert caught.value.code == "ALIGNMENT_TOO_LARGE"


def test_tail_drops_the_number_of_layers_nearest_to_the_sparsity() -> None:
    def kept(layers: int, sparsity: float) -> tuple[int, ...]:
        return layers_to_keep([100] * layers, 100 * layers + 1, sparsity, tail_removal(layers))

    assert kept(30, 0.1) == tuple(range(27))
    assert kept(30, 0.01) == tuple(range(29))
    assert kept(2, 0.7) == (0,)
    with pytest.raises(BuilderError):
        kept(1, 0.5)


def test_shortgpt_drops_the_layers_that_turn_the_hidden_state_least() -> None:
    model, rows = tiny_model(layers=4), random_rows()
    states = model.model(rows, output_hidden_states=True).hidden_states
    influences = []
    for before, after in itertools.pairwise(states[:-1]):
        cosine = (before * after).sum(-1) / before.norm(dim=-1) / after.norm(dim=-1)
        influences.append((1 - cosine).mean().item())
    statistics = collect_statistics(model, rows)
    assert statistics.influences[:3] == pytest.approx(influences, rel=1e-4)
    least = sorted(range(4), key=lambda layer: statistics.influences[layer])[:2]
    assert shortgpt_removal(statistics)(2) == sorted(least)


def test_angular_drops_the_block_whose_ends_are_nearest_at_the_last_token() -> None:
    model, rows = tiny_model(layers=5), random_rows()
    statistics = collect_statistics(model, rows)
    states = model.model(rows, output_hidden_states=True).hidden_states
    for before, mine in zip(states[:-1], statistics.last_states[:-1], strict=True):
        assert torch.allclose(before[:, -1], mine, atol=1e-4)
    distances = []
    for start in range(4):
        cosines = [
            torch.dot(before, after) / before.norm() / after.norm()
            for before, after in zip(statistics.last_states[start], statistics.last_states[start + 2], strict=True)
        ]
        distances.append(sum(math.acos(float(cosine)) for cosine in cosines))
    start = distances.index(min(distances))
    assert angular_removal(statistics)(2) == [start, start + 1]


def test_angular_goes_by_the_mean_angle_of_all_rows() -> None:
    # Of two rows, after each layer: the first turns one of them little and the other much.
    turned = torch.tensor([[0.0, 0.0], [0.1, 0.9], [0.7, 1.5], [1.7, 2.5]])
    states = torch.stack([turned.cos(), turned.sin()], -1)
    statistics = replace(collect_statistics(tiny_model(), random_rows(2)), last_states=states)
    assert angular_removal(statistics)(1) == [0]
    assert angular_removal(statistics)(2) == [0, 1]


def test_a_tail_pruned_model_is_the_dense_model_cut_short() -> None:
    dense, rows = tiny_model(), random_rows()
    pruned = prune(dense, Pruning("tail", 0.33), calibrate(dense))
    states = dense.model(rows, output_hidden_states=True).hidden_states[2]
    assert torch.allclose(pruned.model(rows).logits, dense.lm_head(dense.model.norm(states)), atol=1e-5)
    assert pruned.achieved_sparsity == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("method", ["random", "magnitude", "cfsp", "cfsp-rel"])
def test_a_pruned_model_computes_what_the_dense_one_does_with_the_neurons_zeroed(method: str) -> None:
    dense, rows = tiny_model(), random_rows()
    pruning = Pruning(method, 0.3, 8, False)  # type: ignore[arg-type]
    calibration = calibrate(dense)
    pruned = prune(dense, pruning, calibration)
    kept = choose_cut(dense, pruning, calibration).neurons
    zeroed = tiny_model()
    for layer, neurons in zip(zeroed.model.layers, kept, strict=True):
        gone = torch.ones(48, dtype=torch.bool).index_fill(0, neurons, False)
        layer.mlp.down_proj.weight[:, gone] = 0
    assert torch.allclose(pruned.model(rows).logits, zeroed(rows).logits, atol=1e-4)
    removed = non_embedding_parameters(dense) - non_embedding_parameters(pruned.model)
    assert pruned.achieved_sparsity == pytest.approx(removed / non_embedding_parameters(dense))
    assert ffn_widths(dense) == [48, 48, 48]


def test_a_model_without_some_heads_computes_what_the_dense_one_does_with_them_zeroed() -> None:
    dense, rows = tiny_model(), random_rows()
    groups = (torch.tensor([1]), torch.tensor([0]), torch.tensor([0, 1]))
    cut = replace(whole(dense), groups=groups)
    zeroed = tiny_model()
    # Four query heads of size 8: group g holds channels 16 g .. 16 g + 15 of o_proj's input.
    zeroed.model.layers[0].self_attn.o_proj.weight[:, :16] = 0
    zeroed.model.layers[1].self_attn.o_proj.weight[:, 16:] = 0
    assert torch.allclose(apply_cut(dense, cut)(rows).logits, zeroed(rows).logits, atol=1e-4)


def test_refit_solves_o_proj_where_heads_are_gone() -> None:
    dense, rows = tiny_model(), random_rows(16)
    cut = replace(whole(dense), groups=(torch.tensor([0]), torch.tensor([0, 1]), torch.tensor([0, 1])))

    def error(choice: Cut) -> float:
        states = [apply_cut(dense, choice).model(rows, output_hidden_states=True).hidden_states[1]]
        states.append(dense.model(rows, output_hidden_states=True).hidden_states[1])
        return (states[0] - states[1]).square().mean().item()

    refitted = refit(dense, cut, rows)
    assert refitted.tensors["model.layers.0.self_attn.o_proj.weight"].shape == (32, 16)
    assert error(refitted) < error(cut)


def test_refit_changes_nothing_where_nothing_is_gone() -> None:
    dense, rows = tiny_model(), random_rows()
    same = apply_cut(dense, refit(dense, whole(dense), rows))
    assert torch.allclose(same(rows).logits, dense(rows).logits, atol=1e-4)


def test_refit_with_correction_brings_the_whole_stream_closer_to_the_dense_one() -> None:
    dense, rows = tiny_model(), random_rows(64)
    cut = choose_cut(dense, Pruning("cfsp-rel", 0.3, 8, False), calibrate(dense, rows))

    def error(settings: Refit) -> float:
        states = [
            model.model(rows).last_hidden_state
            for model in (dense, apply_cut(dense, refit(dense, cut, rows, settings=settings)))
        ]
        return (states[0] - states[1]).square().mean().item()

    assert error(Refit(correction=1.0)) < error(Refit(correction=0.0))


def test_what_reads_the_stream_is_solved_for_what_the_dense_model_reads() -> None:
    dense, rows = tiny_model(), random_rows(64)
    cut = choose_cut(dense, Pruning("cfsp-rel", 0.3, 8, False), calibrate(dense, rows))
    refitted = refit(dense, cut, rows, settings=Refit(correction=1.0))
    pruned = apply_cut(dense, refitted)
    first, layer = dense.model.layers[:2]
    assert torch.equal(pruned.model.layers[0].self_attn.q_proj.weight, first.self_attn.q_proj.weight)
    x, wanted = (
        layer.input_layernorm(model.model(rows, output_hidden_states=True).hidden_states[1]).flatten(0, 1).double()
        for model in (pruned, dense)
    )
    gram = x.T @ x
    share, diagonal = 10 * 32 / rows.numel(), gram.diagonal()
    ridge = torch.diag(share * diagonal + 1e-4 * (1 + share) * diagonal.mean())
    shift = torch.linalg.solve(gram + ridge, x.T @ (wanted - x))
    for name in ("q_proj", "k_proj", "v_proj"):
        weight = layer.self_attn.get_submodule(name).weight.double()
        found = pruned.model.layers[1].self_attn.get_submodule(name).weight.double()
        assert torch.allclose(found, weight + weight @ shift.T, atol=1e-4)
    kept = refitted.neurons[1]
    for name in ("gate_proj", "up_proj"):
        found, weight = (model.model.layers[1].mlp.get_submodule(name).weight for model in (pruned, dense))
        assert found.shape == weight[kept].shape
        assert not torch.equal(found, weight[kept])


def test_refit_with_correction_takes_heads_that_are_gone() -> None:
    dense, rows = tiny_model(), random_rows(64)
    cut = replace(whole(dense), groups=(torch.tensor([0, 1]), torch.tensor([1]), torch.tensor([0, 1])))
    refitted = apply_cut(dense, refit(dense, cut, rows, settings=Refit(correction=1.0)))
    assert refitted.model.layers[1].self_attn.q_proj.weight.shape == (16, 32)
    assert refitted.model.layers[1].self_attn.k_proj.weight.shape == (8, 32)
    assert refitted(rows).logits.isfinite().all()


def test_a_layers_ffn_keeps_as_many_neurons_as_obs_allots() -> None:
    dense, rows = tiny_model(), random_rows()
    pruned = prune(dense, Pruning("obs", 0.3, 8), calibrate(dense, rows))
    widths = ffn_widths(pruned.model)
    assert all(width % 8 == 0 for width in widths)
    assert 0.3 <= pruned.achieved_sparsity < 0.35
    corrected = refit(
        dense, whole(dense), rows, settings=Refit(correction=1.0), widths=widths, bf16=calibrates_in_bf16(dense.device)
    )
    assert torch.equal(pruned.model(rows).logits, apply_cut(dense, corrected)(rows).logits)


def test_activations_that_overflow_are_refused_with_their_layer() -> None:
    model = tiny_model()
    for linear in (model.model.layers[1].mlp.gate_proj, model.model.layers[1].mlp.up_proj):
        linear.weight.fill_(1e25)
    with pytest.raises(BuilderError, match="layer 1") as caught:
        calibrate(model)
    assert caught.value.code == "STATISTICS_NOT_FINITE"


def test_an_output_of_the_last_layer_that_overflows_is_refused_with_its_layer() -> None:
    model = tiny_model()
    model.model.layers[2].mlp.down_proj.weight.fill_(3e38)
    with pytest.raises(BuilderError, match="layer 2") as caught:
        calibrate(model)
    assert caught.value.code == "STATISTICS_NOT_FINITE"


@pytest.mark.parametrize("name", ["cfsp", "cfsp-rel+refit", "cfsp-rel+refit-one-pass", "flap+refit", "obs"])
def test_a_layer_that_gives_nothing_is_pruned_like_any_other(name: str) -> None:
    dense, rows = tiny_model(), random_rows()
    dense.model.layers[1].mlp.gate_proj.weight.zero_()
    dense.model.layers[1].self_attn.v_proj.weight.zero_()
    pruned = prune(dense, parse_method(name, 0.3, 8), calibrate(dense, rows))
    assert 0.3 <= pruned.achieved_sparsity < 0.37
    assert pruned.model(rows).logits.isfinite().all()


def test_statistics_that_cannot_be_inverted_are_refused() -> None:
    with pytest.raises(BuilderError, match="more calibration tokens") as caught:
        factor(torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
    assert caught.value.code == "REFIT_SINGULAR"
    with pytest.raises(BuilderError) as caught:
        eliminate(torch.ones(2, 4), -torch.eye(4), 2)
    assert caught.value.code == "REFIT_SINGULAR"


def test_flap_scores_prices_and_biases_follow_the_formula() -> None:
    dense, rows = tiny_model(), random_rows()
    statistics = collect_statistics(dense, rows)
    inputs: list[torch.Tensor] = []
    hook = dense.model.layers[0].mlp.down_proj.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    dense.model(rows)
    hook.remove()
    x, weight = inputs[0].flatten(0, 1), dense.model.layers[0].mlp.down_proj.weight
    expected = x.var(0, correction=0) * weight.norm(dim=0).square()
    assert torch.allclose(fluctuation(weight, statistics.ffn[0]), expected, rtol=1e-3)

    (_, groups), *_ = heads_of(dense)
    channels = fluctuation(dense.model.layers[0].self_attn.o_proj.weight, statistics.attention[0]) ** 2
    of_groups = ((channels - channels.mean()) / channels.std()).view(groups, -1).mean(1)
    assert torch.allclose(layer_scores(dense, 0, statistics).groups, of_groups, atol=1e-5)

    cut = choose_cut(dense, Pruning("flap", 0.3, 8, False), Calibration(rows, statistics))
    gone = torch.ones(48, dtype=torch.bool).index_fill(0, cut.neurons[0], False)
    bias = weight[:, gone] @ x.mean(0)[gone]
    assert torch.allclose(cut.tensors["model.layers.0.mlp.down_proj.bias"], bias, atol=1e-4)


def test_flap_takes_the_lowest_scores_of_the_whole_model_until_their_price_is_paid() -> None:
    dense, rows = tiny_model(), random_rows()
    statistics = collect_statistics(dense, rows)
    # A neuron: rows of gate and up, a column of down. A group: two query heads and a key/value head of 8, by 32.
    prices = {"neuron": 3 * 32, "group": (2 * 16 + 2 * 8) * 32}
    units = [
        (float(score), layer, kind, index)
        for layer in range(3)
        for kind, scores in zip(
            prices,
            (layer_scores(dense, layer, statistics).neurons, layer_scores(dense, layer, statistics).groups),
            strict=True,
        )
        for index, score in enumerate(scores)
    ]
    # What is asked, and the biases to come.
    wanted, gone = 0.3 * non_embedding_parameters(dense) + 2 * 3 * 32, dict[tuple[int, str], set[int]]()
    spent = 0
    for _, layer, kind, index in sorted(units):
        if spent < wanted:
            gone.setdefault((layer, kind), set()).add(index)
            spent += prices[kind]
    assert {kind for _, kind in gone} == {"neuron", "group"}
    cut = choose_cut(dense, Pruning("flap", 0.3, 1, False), Calibration(rows, statistics))
    back = 0
    for layer in range(3):
        assert set(range(2)) - set(cut.groups[layer].tolist()) == gone.get((layer, "group"), set())
        neurons = set(range(48)) - set(cut.neurons[layer].tolist())
        assert neurons <= gone[layer, "neuron"]
        back += len(gone[layer, "neuron"]) - len(neurons)
    # A group that goes last takes more than is needed: so many neurons come back.
    assert back == (spent - wanted) // prices["neuron"]


def test_a_saved_cut_is_the_same_cut(tmp_path: Path) -> None:
    dense = tiny_model()
    cut = choose_cut(dense, Pruning("cfsp-rel", 0.3, 8, True), calibrate(dense))
    save_cut(cut, tmp_path / "cut")
    first, second = apply_cut(dense, cut), apply_cut(dense, load_cut(tmp_path / "cut"))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_refit_weight_solves_the_normal_equations() -> None:
    chance = torch.Generator().manual_seed(0)
    x, weight = torch.randn(200, F, generator=chance), torch.randn(H, F, generator=chance)
    kept = torch.tensor([0, 2, 3, 6])
    damping = 0.05 * torch.eye(F)
    solved = solve(weight, x.T @ x + damping, kept)
    inputs = x[:, kept]
    right = inputs.T @ (x @ weight.T) + damping[:4, :4] @ weight[:, kept].T
    assert torch.allclose(solved, torch.linalg.solve(inputs.T @ inputs + damping[:4, :4], right).T, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_eliminate_removes_what_costs_least_and_leaves_the_least_squares_weights(seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    # Inputs that are alike and unequally loud: the smallest weights aren't those that cost least.
    x = torch.randn(200, F, generator=chance) @ torch.randn(F, F, generator=chance)
    weight = torch.randn(H, F, generator=chance)
    gram = x.T @ x + 0.1 * torch.eye(F)

    def cost(kept: tuple[int, ...]) -> float:
        difference = solve(weight, gram, torch.tensor(kept)) @ torch.eye(F)[list(kept)] - weight
        return (difference @ gram @ difference.T).trace().item()

    kept, solved = eliminate(weight, torch.linalg.inv(gram), F - 1)
    assert tuple(kept.tolist()) == min(itertools.combinations(range(F), F - 1), key=cost)
    kept, solved = eliminate(weight, torch.linalg.inv(gram), 3, at_once=2)
    assert torch.allclose(solved, solve(weight, gram, kept), atol=1e-4)
    assert kept.tolist() == sorted(kept.tolist())


def test_gram_panels_add_up_to_the_product() -> None:
    count = 2 * PANEL + 10
    x = torch.randn(64, count + 30, generator=torch.Generator().manual_seed(0))
    gram = torch.zeros(count, count + 30)
    add_gram(gram, x)
    mirror(gram)
    assert torch.allclose(gram, x[:, :count].T @ x, atol=1e-4)


def test_refit_brings_each_layers_output_closer_to_the_dense_ffns() -> None:
    """The first layer sees the same stream pruned or not, so its error compares directly."""
    dense, rows = tiny_model(), random_rows(16)
    calibration = calibrate(dense, rows)
    pruning = Pruning("cfsp-rel", 0.3, 8, False)
    cut = choose_cut(dense, pruning, calibration)
    plain, refitted = apply_cut(dense, cut), apply_cut(dense, refit(dense, cut, rows))

    def first_layer(model: torch.nn.Module) -> torch.Tensor:
        states: torch.Tensor = model.model(rows, output_hidden_states=True).hidden_states[1]
        return states

    error_plain = (first_layer(plain) - first_layer(dense)).square().mean()
    error_refitted = (first_layer(refitted) - first_layer(dense)).square().mean()
    assert error_refitted < 0.9 * error_plain


def test_refit_is_sequential_on_the_pruned_stream() -> None:
    dense, rows = tiny_model(), random_rows(16)
    calibration = calibrate(dense, rows)
    pruning = Pruning("cfsp", 0.3, 8, False)
    cut = refit(dense, choose_cut(dense, pruning, calibration), rows, settings=Refit(ridge=0.1, correction=0))
    kept, model = cut.neurons, apply_cut(dense, cut)
    captured: list[torch.Tensor] = []
    mlp = model.model.layers[1].mlp
    hook = mlp.register_forward_pre_hook(lambda _, args: captured.append(args[0]))
    model.model(rows)
    hook.remove()
    inputs = captured[0].flatten(0, 1)
    full = dense.model.layers[1].mlp
    inner = full.act_fn(full.gate_proj(inputs)) * full.up_proj(inputs)
    kept_inner = inner[:, kept[1]]
    gram = kept_inner.T @ kept_inner
    energy = inner.square().sum(0)
    damping = torch.diag(0.1 * 48 / rows.numel() * energy[kept[1]] + 1e-4 * energy.mean())
    weight = full.down_proj.weight
    right = kept_inner.T @ (inner @ weight.T) + damping @ weight[:, kept[1]].T
    assert torch.allclose(mlp.down_proj.weight, torch.linalg.solve(gram + damping, right).T, atol=1e-3)


def test_pruning_twice_gives_the_same_model() -> None:
    dense = tiny_model()
    calibration = calibrate(dense)
    first, second = (prune(dense, Pruning("cfsp-rel", 0.3, 8, True), calibration).model for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("score", [cfsp_scores, cfsp_rel_scores])
def test_a_silent_channel_or_neuron_takes_nothing_from_the_scores_of_the_others(
    score: Callable[[torch.Tensor, Sequence[torch.Tensor], torch.Tensor], torch.Tensor],
) -> None:
    down, up, gate, act = random_ffn()
    expected = score(down[1:], (up[:, 1:], gate[:, 1:]), act) * (H - 1) / H
    down[0], up[:, 0], gate[:, 0] = 0, 0, 0
    assert torch.allclose(score(down, (up, gate), act), expected)
    down[:, 3], act[3] = 0, 0
    scores = score(down, (up, gate), act)
    assert scores[3] == 0
    assert (scores > 0).sum() == F - 1
    up[5] = 0  # Fires by its gate and bias all the same.
    assert score(down, (up, gate), act)[5] > 0


def test_any_contrast_gives_layers_an_importance() -> None:
    assert coarse_importance((0.0, 1.0), 1e4) == [0.0, 1.0]
    assert coarse_importance((0.1, 0.3), 10.0)[0] == pytest.approx(1 / (1 + math.exp(1.0)))
