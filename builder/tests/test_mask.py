"""Masks: each method against its formula written out entry by entry, and how many weights are gone."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.contracts import MASK_METHODS, Pruning
from espalier_builder.failure import BuilderError
from espalier_builder.method_name import parse_method
from espalier_builder.prune.apply import Pruned, prune
from espalier_builder.prune.decoder import HiddenStates
from espalier_builder.prune.mask.barber import (
    BarberSettings,
    Granularity,
    barber_layer,
    block_error,
    block_gradients,
    rebuild,
    rebuild_in_groups,
    swap,
)
from espalier_builder.prune.mask.choose import sequential_masks
from espalier_builder.prune.mask.pattern import Pattern, lowest_of_all
from espalier_builder.prune.mask.sparsegpt import sparsegpt
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.prune.walk import layer_grams, stacks
from espalier_builder.quantize.gptq import quantize_gptq
from espalier_builder.quantize.weight_format import WeightFormat
from tiny_llama import random_rows, tiny_model

STARTS = {"barber-magnitude": "mask-magnitude", "barber-wanda": "wanda", "barber-sparsegpt": "sparsegpt"}


def masked(method: str, sparsity: float, model: LlamaForCausalLM | None = None) -> Pruned:
    model, rows = model or tiny_model(), random_rows()
    return prune(model, parse_method(method, sparsity, 8), Calibration(rows, collect_statistics(model, rows)))


def linears(model: LlamaForCausalLM) -> dict[str, Tensor]:
    return {name: weight for name, weight in model.named_parameters() if name.endswith("proj.weight")}


@pytest.mark.parametrize(("method", "sparsity"), itertools.product(MASK_METHODS, (0.5, 0.9)))
def test_exactly_the_asked_share_is_zero(method: str, sparsity: float) -> None:
    dense = tiny_model()
    before = {name: weight.clone() for name, weight in linears(dense).items()}
    pruned = masked(method, sparsity, dense)
    weights = linears(pruned.model)
    zeros = {name: int((weight == 0).sum()) for name, weight in weights.items()}
    total = sum(weight.numel() for weight in weights.values())
    # Wanda rounds down in each row, the others round in each matrix.
    slack = sum(len(weight) for weight in weights.values()) if "wanda" in method else len(weights)
    assert abs(sum(zeros.values()) - sparsity * total) <= slack
    assert pruned.achieved_sparsity == pytest.approx(sparsity, abs=0.03)
    assert all(torch.equal(before[name], weight) for name, weight in linears(dense).items())
    again = linears(masked(method, sparsity).model)
    assert all(torch.equal(weight, again[name]) for name, weight in weights.items())
    if method in STARTS:
        start = linears(masked(STARTS[method], sparsity).model)
        assert sum(int((weight == 0).sum()) for weight in start.values()) == sum(zeros.values())
        if method != "barber-wanda":  # a tenth of the pairs that would gain in a row of 32: none
            assert any(not torch.equal(start[name] == 0, weight == 0) for name, weight in weights.items())
        if method != "barber-magnitude":  # which moves zeros between the matrices of a block
            assert {name: int((weight == 0).sum()) for name, weight in start.items()} == zeros


@pytest.mark.parametrize(
    ("method", "pattern"), itertools.product([m for m in MASK_METHODS if "global" not in m], ("2:4", "4:8"))
)
def test_every_group_has_its_zeros(method: str, pattern: str) -> None:
    n, m = (int(part) for part in pattern.split(":"))
    for weight in linears(masked(f"{method}+{pattern}", 0.5).model).values():
        assert ((weight.view(-1, m) == 0).sum(1) == n).all()


def test_a_pattern_that_cannot_be_kept_is_refused() -> None:
    for name, sparsity in (("wanda+2:4", 0.6), ("mask-magnitude-global+2:4", 0.5)):
        with pytest.raises(BuilderError) as caught:
            masked(name, sparsity)
        assert caught.value.code == "PATTERN_IMPOSSIBLE"
    with pytest.raises(BuilderError) as caught:
        Pattern(0.5, 8).of_row(torch.ones(2, 12))
    assert caught.value.code == "PATTERN_IMPOSSIBLE"


def test_activations_that_overflow_are_refused_with_the_matrix_that_reads_them() -> None:
    model = tiny_model()
    for linear in (model.model.layers[0].mlp.gate_proj, model.model.layers[0].mlp.up_proj):
        linear.weight.fill_(1e25)
    with pytest.raises(BuilderError, match=r"layers\.0\.ffn\.down") as caught:
        sequential_masks(model, random_rows(), Pattern(0.5), "wanda", lambda _: None)
    assert caught.value.code == "ACTIVATIONS_NOT_FINITE"


def test_magnitude_drops_the_smallest_of_a_matrix_or_of_all() -> None:
    dense = linears(tiny_model())
    for name, weight in linears(masked("mask-magnitude", 0.5).model).items():
        assert weight.abs()[weight != 0].min() >= dense[name].abs()[weight == 0].max()
    everywhere = linears(masked("mask-magnitude-global", 0.5).model)
    kept = min(float(weight.abs()[weight != 0].min()) for weight in everywhere.values())
    gone = max(float(dense[name].abs()[weight == 0].max()) for name, weight in everywhere.items())
    assert kept >= gone


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 1.0])
def test_the_smallest_of_all_matrices_are_those_that_sorting_all_entries_finds(share: float) -> None:
    chance = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=chance) for shape in ((5, 7), (3, 30), (11, 4))]
    # Many that are equal, some of them zero, across the border.
    weights[1] = (2 * weights[1]).round() / 2
    weights[2][::2] = -0.5
    together = torch.cat([weight.abs().flatten() for weight in weights])
    found = list(lowest_of_all(weights, share))
    count = math.floor(share * len(together))
    assert sum(int(mask.sum()) for mask in found) == count
    expected = torch.zeros(len(together), dtype=torch.bool)
    expected[sorted(range(len(together)), key=lambda at: float(together[at]))[:count]] = True
    assert torch.equal(torch.cat([mask.flatten() for mask in found]), expected)


@pytest.mark.parametrize(("method", "group"), [("wanda", 0), ("wanda+2:4", 4), ("wanda+4:8", 8)])
def test_wanda_scores_weights_by_the_norm_of_their_inputs_while_the_layer_is_dense(method: str, group: int) -> None:
    dense, rows = tiny_model(), random_rows()
    for layer in dense.model.layers:
        layer.post_attention_layernorm.weight.copy_(torch.linspace(0.5, 1.5, 32))
    pruned = masked(method, 0.5, dense).model
    # Layer 0 sees the embedding, layer 1 what the pruned layer 0 gives; neither any pruning of its own.
    for index in range(2):
        hybrid = copy.deepcopy(dense)
        for before in range(index):
            hybrid.model.layers[before] = pruned.model.layers[before]
        layer, result = hybrid.model.layers[index], pruned.model.layers[index]
        inputs: dict[torch.nn.Module, Tensor] = {}
        for module in (layer.self_attn.q_proj, layer.self_attn.o_proj, layer.mlp.up_proj, layer.mlp.down_proj):
            module.register_forward_pre_hook(lambda m, args, seen=inputs: seen.update({m: args[0].flatten(0, 1)}))
        with torch.no_grad():
            hybrid(rows)
        for module, masked_module in (
            (layer.self_attn.q_proj, result.self_attn.q_proj),
            (layer.self_attn.o_proj, result.self_attn.o_proj),
            (layer.mlp.up_proj, result.mlp.up_proj),
            (layer.mlp.down_proj, result.mlp.down_proj),
        ):
            norms = [math.sqrt(float(column.square().sum())) for column in inputs[module].T]
            for row, after in zip(module.weight, masked_module.weight, strict=True):
                scores = [abs(float(weight)) * norm for weight, norm in zip(row, norms, strict=True)]
                size, gone = group or len(scores), list[int]()
                for start in range(0, len(scores), size):
                    gone += sorted(range(start, start + size), key=scores.__getitem__)[: size // 2]
                assert (after == 0).nonzero().flatten().tolist() == sorted(gone)
                assert torch.equal(after[after != 0], row[after != 0])


@pytest.mark.parametrize("pattern", [Pattern(0.5), Pattern(0.7), Pattern(0.5, 4), Pattern(0.5, 8)])
def test_sparsegpt_is_optimal_brain_surgeon_column_by_column(pattern: Pattern) -> None:
    """Over more columns than are chosen, and than are handled, at once."""
    rows, columns = 6, 152
    chance = torch.Generator().manual_seed(0)
    weight = torch.randn(rows, columns, generator=chance)
    inputs = torch.randn(400, columns, generator=chance) @ torch.randn(columns, columns, generator=chance)
    gram = inputs.T @ inputs
    result = sparsegpt(weight, gram, pattern, damping=0.01)
    hessian = gram.double() + 0.01 * gram.diagonal().double().mean() * torch.eye(columns, dtype=torch.float64)
    # What is left of the inverse after the columns before have been decided: the paper's recursion, written out.
    inverses = [hessian[column:, column:].inverse() for column in range(columns)]
    expected, gone = weight.double().clone(), torch.zeros(rows, columns, dtype=torch.bool)
    size = pattern.group or 128
    for column in range(columns):
        if column % size == 0:
            # What goes of these columns is decided by what the errors so far have made of them.
            block = range(column, min(column + size, columns))
            scores = torch.stack([expected[:, j].square() / inverses[j][0, 0] for j in block], 1)
            entries = [(float(scores[r, j]), r, column + j) for r in range(rows) for j in range(len(block))]
            if pattern.group:
                parts, count = [[each for each in entries if each[1] == r] for r in range(rows)], size // 2
            else:
                parts, count = [entries], round(pattern.sparsity * rows * block.stop) - int(gone.sum())
            for _, r, j in (each for part in parts for each in sorted(part)[:count]):
                gone[r, j] = True
        error = torch.where(gone[:, column], expected[:, column], 0.0) / inverses[column][0, 0]
        expected[:, column:] -= error[:, None] * inverses[column][0]
    assert torch.equal(result == 0, gone)
    assert torch.allclose(result.double(), expected.masked_fill(gone, 0), atol=1e-3)


def test_sparsegpt_reconstructs_what_a_given_mask_leaves() -> None:
    chance = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 40, generator=chance)
    inputs = torch.randn(200, 40, generator=chance) @ torch.randn(40, 40, generator=chance)
    gram = inputs.T @ inputs
    chosen = sparsegpt(weight, gram, Pattern(0.5))
    assert torch.equal(sparsegpt(weight, gram, chosen == 0), chosen)
    # The last columns can't be made good by any later one; the only column to go is, exactly, by all after it.
    gone = torch.zeros(6, 40, dtype=torch.bool)
    gone[:, 0] = True
    hessian = gram.double() + 0.01 * gram.diagonal().double().mean() * torch.eye(40, dtype=torch.float64)
    moved = weight[:, 1:].double() + weight[:, :1].double() @ hessian[:1, 1:] @ hessian[1:, 1:].inverse()
    assert torch.allclose(sparsegpt(weight, gram, gone)[:, 1:].double(), moved, atol=1e-3)


def test_in_groups_the_best_of_a_row_come_back_and_the_worst_of_their_groups_go() -> None:
    chance = torch.Generator().manual_seed(0)
    scores = torch.rand(6, 32, generator=chance)
    kept = ~Pattern(0.5, 4).of_row(torch.rand(6, 32, generator=chance))
    rebuilt = rebuild_in_groups(kept, scores, 0.5, 4)
    for row in range(6):
        pruned = sorted((float(scores[row, c]) for c in range(32) if not kept[row, c]), reverse=True)
        staying = sorted(float(scores[row, c]) for c in range(32) if kept[row, c])
        count = math.floor(0.5 * sum(a > b for a, b in zip(pruned, staying, strict=True)))
        expected = kept[row].clone()
        for start in range(0, 32, 4):
            group = range(start, start + 4)
            back = [c for c in group if not kept[row, c] and float(scores[row, c]) in pruned[:count]]
            for c in sorted((c for c in group if kept[row, c]), key=lambda c: float(scores[row, c]))[: len(back)]:
                expected[c] = False
            expected[back] = True
        assert torch.equal(rebuilt[row], expected)
    assert not torch.equal(rebuilt, kept)


@pytest.mark.parametrize("granularity", ["row", "layer", "block"])
def test_entries_change_places_within_a_row_a_matrix_or_the_block(granularity: Granularity) -> None:
    chance = torch.Generator().manual_seed(0)
    shapes = ((4, 20), (3, 30))
    scores = [torch.rand(shape, generator=chance) * scale for shape, scale in zip(shapes, (1, 3), strict=True)]
    kept = [torch.rand(shape, generator=chance) < 0.5 for shape in shapes]
    entries = [(m, r, c) for m, (rows, columns) in enumerate(shapes) for r in range(rows) for c in range(columns)]
    group_of = {"row": lambda entry: entry[:2], "layer": lambda entry: entry[0], "block": lambda _: 0}[granularity]
    expected = [mask.clone() for mask in kept]
    for _, group in itertools.groupby(entries, group_of):
        ordered = sorted(group, key=lambda entry: float(scores[entry[0]][entry[1:]]))
        out = [entry for entry in ordered[::-1] if not kept[entry[0]][entry[1:]]]
        stay = [entry for entry in ordered if kept[entry[0]][entry[1:]]]
        gaining = sum(
            bool(scores[one[0]][one[1:]] > scores[two[0]][two[1:]]) for one, two in zip(out, stay, strict=False)
        )
        for back, away in list(zip(out, stay, strict=False))[: math.floor(0.4 * gaining)]:
            expected[back[0]][back[1:]], expected[away[0]][away[1:]] = True, False
    found = rebuild(kept, scores, granularity, 0.4, Pattern(0.5))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert any(not torch.equal(one, other) for one, other in zip(found, kept, strict=True))


def test_what_a_rebuilt_mask_leaves_is_solved_from_the_dense_weights() -> None:
    dense, rows = tiny_model(), random_rows()
    start = masked("sparsegpt", 0.5, dense).model.model.layers[0]
    layer, guide = copy.deepcopy(start), dense.model.layers[0]
    stream = HiddenStates(dense, rows, bf16=False)
    grams = layer_grams(stream, guide)
    barber_layer(stream, guide, layer, BarberSettings("layer", 0.1, solve_again=True), Pattern(0.5))
    changed = [name for name in grams if not torch.equal(stacks(layer)[name][0].weight, stacks(start)[name][0].weight)]
    assert changed
    for name in changed:
        for linear, teacher in zip(stacks(layer)[name], stacks(guide)[name], strict=True):
            assert torch.equal(linear.weight, sparsegpt(teacher.weight, grams[name], linear.weight == 0))


def test_barber_scores_by_the_weights_that_would_stand() -> None:
    dense, rows = tiny_model(), random_rows()
    start = masked("sparsegpt", 0.5, dense).model.model.layers[0]
    settings = BarberSettings("layer", 0.1)
    layer, stream = copy.deepcopy(start), HiddenStates(dense, rows, bf16=False)
    guide, attention = dense.model.layers[0], copy.deepcopy(start)
    barber_layer(stream, guide, layer, settings, Pattern(0.5))
    attention.self_attn = layer.self_attn
    stream = HiddenStates(dense, rows, bf16=False)
    stream.go_through(stream.attention_block(attention))
    named = {"gate_proj": guide.mlp.gate_proj, "up_proj": guide.mlp.up_proj, "down_proj": guide.mlp.down_proj}
    gradients, _ = block_gradients(stream, stream.ffn_block(guide), stream.ffn_block(start), list(named.values()))
    for (name, teacher), gradient in zip(named.items(), gradients, strict=True):
        before, after = start.mlp.get_submodule(name).weight, layer.mlp.get_submodule(name).weight
        standing = torch.where(before != 0, before, teacher.weight)
        score = (standing.abs() * gradient).flatten()
        out = sorted((i for i in range(score.numel()) if before.flatten()[i] == 0), key=lambda i: -float(score[i]))
        stay = sorted((i for i in range(score.numel()) if before.flatten()[i] != 0), key=lambda i: float(score[i]))
        count = math.floor(0.1 * sum(bool(score[a] > score[b]) for a, b in zip(out, stay, strict=False)))
        expected = before.flatten().clone()
        expected[stay[:count]] = 0
        expected[out[:count]] = teacher.weight.flatten()[out[:count]]
        assert count > 0
        assert torch.equal(after.flatten(), expected)


@pytest.mark.parametrize("solve_again", (False, True))
def test_no_block_ends_farther_from_the_dense_one_than_its_start(solve_again: bool) -> None:
    dense, rows = tiny_model(), random_rows()
    stays = []
    for start, granularity, threshold in itertools.product(("wanda", "sparsegpt"), ("row", "block"), (0.1, 1.0)):
        before = masked(start, 0.5, dense).model.model.layers[0]
        after, stream = copy.deepcopy(before), HiddenStates(dense, rows, bf16=False)
        settings = BarberSettings(granularity, threshold, solve_again)
        barber_layer(stream, dense.model.layers[0], after, settings, Pattern(0.5))
        stream = HiddenStates(dense, rows, bf16=False)
        guide = stream.attention_block(dense.model.layers[0])
        errors = [block_error(stream, guide, stream.attention_block(layer)) for layer in (before, after)]
        assert errors[1] <= errors[0]
        stays.append(torch.equal(before.self_attn.o_proj.weight, after.self_attn.o_proj.weight))
    assert True in stays
    assert False in stays


def test_swapping_exchanges_the_best_pruned_for_the_worst_kept() -> None:
    scores = torch.tensor([[9.0, 1.0, 8.0, 2.0, 7.0, 3.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    kept = torch.tensor([[False, True, False, True, False, True], [False, False, False, True, True, True]])
    # Row 0: pairs (9, 1), (8, 2), (7, 3), all of which gain; row 1: none does.
    assert swap(kept, scores, 0.67)[0].tolist() == [True, False, True, False, False, True]
    assert swap(kept, scores, 1.0)[0].tolist() == [True, False, True, False, True, False]
    assert torch.equal(swap(kept, scores, 1.0)[1], kept[1])
    assert torch.equal(swap(kept, scores, 0.3), kept)


def test_gradients_of_a_block_are_those_of_its_output_error_row_by_row() -> None:
    dense, rows = tiny_model(), random_rows(rows=3)
    guide, sparse = (copy.deepcopy(dense.model.layers[0]) for _ in range(2))
    sparse.mlp.down_proj.weight[:, ::2] = 0
    stream = HiddenStates(dense, rows, bf16=False)
    found, error = block_gradients(
        stream, stream.ffn_block(guide), stream.ffn_block(sparse), [guide.mlp.up_proj, guide.mlp.down_proj]
    )
    squares = torch.zeros_like(dense.model.layers[0].mlp.down_proj.weight)
    errors = []
    for row in stream.states:
        normed = guide.post_attention_layernorm(row)
        inner = torch.nn.functional.silu(guide.mlp.gate_proj(normed)) * guide.mlp.up_proj(normed)
        difference = guide.mlp.down_proj(inner) - sparse.mlp.down_proj(inner)
        squares += (2 / difference.numel() * difference.T @ inner).square()
        errors.append(float(difference.square().mean()))
    assert torch.allclose(found[1], (squares / 3).sqrt(), rtol=1e-4, atol=1e-8)
    assert found[0].shape == guide.mlp.up_proj.weight.shape
    assert error == pytest.approx(sum(errors) / 3)
    assert error == pytest.approx(block_error(stream, stream.ffn_block(guide), stream.ffn_block(sparse)))
    assert not any(weight.requires_grad for weight in guide.parameters())


def test_calibrated_quantization_keeps_a_masks_zeros() -> None:
    chance = torch.Generator().manual_seed(0)
    weight = Pattern(0.5, 4).of_row(torch.rand(8, 64, generator=chance)).float() * torch.randn(8, 64, generator=chance)
    inputs = torch.randn(100, 64, generator=chance)
    for symmetric in (True, False):
        quantized = quantize_gptq(weight, inputs.T @ inputs, WeightFormat(4, 32, symmetric, 4)).dequantize()
        assert (quantized[weight == 0] == 0).all()


def test_a_name_stands_for_a_method_and_its_pattern() -> None:
    assert parse_method("wanda+2:4", 0.5, 32) == Pruning("wanda", 0.5, pattern="2:4")
    assert parse_method("barber-sparsegpt", 0.7, 32).to_json() == {
        "method": "barber-sparsegpt",
        "sparsity": 0.7,
        "pattern": "free",
    }
