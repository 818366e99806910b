"""Gradients estimated by forward passes against those of backpropagation."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import LlamaForCausalLM

from espalier_builder.prune.minillm import gate_probe_scores, loss, weight_probe_scores
from tiny_llama import random_rows, tiny_model

ROWS = random_rows(2, 16)


def true_gates(model: LlamaForCausalLM) -> torch.Tensor:
    """The gradient `[F]` of gates on the only layer's neurons."""
    gate = torch.ones(48, requires_grad=True)
    hook = model.model.layers[0].mlp.down_proj.register_forward_pre_hook(lambda _, args: (args[0] * gate,))
    loss(model, ROWS).backward()
    hook.remove()
    assert gate.grad is not None
    return gate.grad


def rank_correlation(scores: torch.Tensor, truth: torch.Tensor) -> float:
    """Spearman's."""
    return torch.corrcoef(torch.stack([each.argsort().argsort().double() for each in (scores, truth)]))[0, 1].item()


def test_more_probes_come_closer_to_the_order_of_the_true_gradient() -> None:
    model = tiny_model(layers=1)
    truth = true_gates(model).abs()
    few, many = (rank_correlation(gate_probe_scores(model, ROWS, seed=0, probes=n)[0], truth) for n in (8, 512))
    assert few < 0.6
    assert many > 0.75


def test_a_gate_probe_measures_the_slope_along_its_direction() -> None:
    model = tiny_model(layers=1)
    gradient = true_gates(model)
    direction = torch.randn(48, generator=torch.Generator().manual_seed(0))
    (scores,) = gate_probe_scores(model, ROWS, seed=0, probes=1)
    assert torch.allclose(scores, ((gradient @ direction) * direction).abs(), rtol=0.05, atol=1e-4)


def test_a_weight_probe_score_follows_the_formula() -> None:
    """`|W| |g| ||X||` over gate row, up row and down column, with g the slope along one direction times it."""
    model = tiny_model(layers=1)
    mlp = model.model.layers[0].mlp
    (scores,) = weight_probe_scores(model, ROWS, seed=0, probes=1)
    linears = [mlp.gate_proj, mlp.up_proj, mlp.down_proj]
    inputs: list[torch.Tensor] = []
    for linear in linears:
        linear.weight.requires_grad_(True)
        linear.register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach().flatten(0, 1)))
    loss(model, ROWS).backward()
    # One row of tokens at a time: two inputs of each linear layer, in the order of the forward pass.
    norms = [torch.cat([inputs[place], inputs[place + 3]]).norm(dim=0) for place in range(3)]
    directions = [
        torch.randn(linear.weight.shape, generator=torch.Generator().manual_seed(place))
        for place, linear in enumerate(linears)
    ]
    gradients = [linear.weight.grad for linear in linears]
    slope = sum((g * z).sum() for g, z in zip(gradients, directions, strict=True))
    parts = [
        linear.weight.detach().abs() * (slope * z).abs() * norm
        for linear, z, norm in zip(linears, directions, norms, strict=True)
    ]
    expected = parts[0].sum(1) + parts[1].sum(1) + parts[2].sum(0)
    assert torch.allclose(scores, expected, rtol=0.05)


@pytest.mark.parametrize("method", [weight_probe_scores, gate_probe_scores])
def test_probing_leaves_the_model_as_it_was_and_is_the_same_by_seed(method: object) -> None:
    model = tiny_model()
    before = copy.deepcopy(model.state_dict())
    first, again, other = (method(model, ROWS, seed=seed, probes=2) for seed in (1, 1, 2))  # type: ignore[operator]
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
