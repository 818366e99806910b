"""MINI-LLM: structured pruning by gradients that are estimated with forward passes only (arXiv:2407.11681).

Simultaneous perturbation (SPSA): with a random direction z, `(L(theta + e z) - L(theta - e z)) / 2e * z` estimates the
gradient. z is replayed from its seed and added to outputs, not to weights: the model is never changed and memory stays
that of inference. Shapes: H hidden size, F FFN width. FFN neurons are scored; a key/value group is a third of a small
model's attention, too coarse a step for budgets by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel, ffn_inputs
from espalier_builder.contracts import PruningMethod

ESTIMATED_METHODS: tuple[PruningMethod, ...] = ("minillm", "minillm-gate")
PROBES = 32
EPSILON = 1e-3
# Tokens that each probe's two losses are taken on.
PROBE_TOKENS = 2048

Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]
Progress = Callable[[float], None]


def estimated_scores(
    model: DecoderModel, method: PruningMethod, rows: Tensor, *, seed: int, progress: Progress = lambda _: None
) -> list[Tensor]:
    """Scores `[F]` of each layer's neurons by one of `ESTIMATED_METHODS`, over calibration rows `[N, T]`; the same at
    every sparsity."""
    probe = weight_probe_scores if method == "minillm" else gate_probe_scores
    return probe(model, rows, seed=seed, progress=progress)


@torch.inference_mode()
def weight_probe_scores(
    model: DecoderModel, rows: Tensor, *, seed: int, probes: int = PROBES, progress: Progress = lambda _: None
) -> list[Tensor]:
    """Scores `[F]` of each layer's neurons as published, over calibration rows `[N, T]`.

    `|W| * |g| * ||X||` summed over gate row, up row and down column, g the mean of `probes` estimates, X the inputs of
    each linear layer. Costs `2 probes + 1` forward passes.
    """
    rows = probe_rows(rows)
    linears = ffn_linears(model)
    slopes = []
    for probe in range(probes):
        hooks = [_weight_hook(index, seed, probe) for index in range(len(linears))]
        slopes.append(_slope(model, rows, list(zip(linears, hooks, strict=True))))
        progress((probe + 1) / (probes + 1))

    def gradient(index: int) -> Tensor:
        weight = linears[index].weight
        total = torch.zeros_like(weight)
        for probe, slope in enumerate(slopes):
            total += slope / probes * _direction(weight.shape, index, seed, probe, weight.device)
        return total

    return sensitivity_scores(model, rows, gradient)


@torch.inference_mode()
def sensitivity_scores(model: DecoderModel, rows: Tensor, gradient: Callable[[int], Tensor]) -> list[Tensor]:
    """`|W| * |g| * ||X||` summed by neuron, `[F]` a layer, for the loss's gradients `[out, in]` of the FFNs' linears.

    `gradient` is asked for one linear after another, layer by layer, down_proj last, and nothing of its size is kept.
    """
    linears = ffn_linears(model)
    norms = _input_norms(model, rows, linears)
    scores: list[Tensor] = []
    matrices = len(linears) // len(model.model.layers)
    for index, (linear, norm) in enumerate(zip(linears, norms, strict=True)):
        part = gradient(index).abs().mul_(linear.weight.abs()).mul_(norm)
        if index % matrices == 0:
            scores.append(part.sum(1))
        else:
            scores[-1] += part.sum(0 if index % matrices == matrices - 1 else 1)
    return scores


@torch.inference_mode()
def gate_probe_scores(
    model: DecoderModel, rows: Tensor, *, seed: int, probes: int = PROBES, progress: Progress = lambda _: None
) -> list[Tensor]:
    """Scores `[F]` of each layer's neurons by one gate a neuron instead of all its weights (ours).

    A gate of 1 multiplies the neuron's activation; `|dL/dgate|` is the loss that its removal costs, to first order.
    Far fewer dimensions are perturbed, so the same number of probes says far more. Costs `2 probes` forward passes.
    """
    rows = probe_rows(rows)
    downs = [layer.mlp.down_proj for layer in model.model.layers]
    gradients = [torch.zeros(down.in_features, device=down.weight.device) for down in downs]
    for probe in range(probes):
        hooks = [_gate_hook(index, seed, probe) for index in range(len(downs))]
        slope = _slope(model, rows, list(zip(downs, hooks, strict=True)))
        for index, gradient in enumerate(gradients):
            gradient += slope / probes * _direction(gradient.shape, index, seed, probe, gradient.device)
        progress((probe + 1) / probes)
    return [gradient.abs() for gradient in gradients]


def probe_rows(rows: Tensor) -> Tensor:
    """Rows from all over, about `PROBE_TOKENS` tokens of them."""
    wanted = max(1, PROBE_TOKENS // rows.shape[1])
    return rows[:: max(1, len(rows) // wanted)][:wanted]


def loss(model: DecoderModel, rows: Tensor) -> Tensor:
    """Mean next-token cross-entropy, a row at a time."""
    losses = []
    for row in rows.to(model.lm_head.weight.device):
        logits = model(row[None], use_cache=False).logits[0, :-1].float()
        losses.append(nn.functional.cross_entropy(logits, row[1:]))
    return torch.stack(losses).mean()


def ffn_linears(model: DecoderModel) -> list[nn.Linear]:
    """Those of all layers in turn, down_proj last of each."""
    mlps = [layer.mlp for layer in model.model.layers]
    return [linear for mlp in mlps for linear in (*ffn_inputs(mlp), mlp.down_proj)]


def _slope(model: DecoderModel, rows: Tensor, hooks: list[tuple[nn.Linear, Callable[[float], Hook]]]) -> float:
    """The loss's slope along the direction that the hooks add, by a central difference."""
    losses = []
    for sign in (1, -1):
        with _hooked([(linear, hook(sign * EPSILON)) for linear, hook in hooks]):
            losses.append(loss(model, rows).double().item())
    return (losses[0] - losses[1]) / (2 * EPSILON)


@contextmanager
def _hooked(hooks: list[tuple[nn.Linear, Hook]]) -> Iterator[None]:
    handles = [linear.register_forward_hook(hook) for linear, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _weight_hook(index: int, seed: int, probe: int) -> Callable[[float], Hook]:
    def scaled(step: float) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            weight: Tensor = module.weight  # type: ignore[assignment]
            direction = _direction(weight.shape, index, seed, probe, weight.device)
            return output + step * nn.functional.linear(inputs[0], direction)

        return hook

    return scaled


def _gate_hook(index: int, seed: int, probe: int) -> Callable[[float], Hook]:
    def scaled(step: float) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            weight: Tensor = module.weight  # type: ignore[assignment]
            direction = _direction(weight.shape[1:], index, seed, probe, weight.device)
            return output + step * nn.functional.linear(inputs[0] * direction, weight)

        return hook

    return scaled


def _direction(shape: torch.Size, index: int, seed: int, probe: int, device: torch.device) -> Tensor:
    """Standard normal values, the same for the same tensor, seed and probe on every device."""
    chance = torch.Generator().manual_seed(seed * 1_000_003 + probe * 10_007 + index)
    return torch.randn(shape, generator=chance).to(device)


def _input_norms(model: DecoderModel, rows: Tensor, linears: list[nn.Linear]) -> list[Tensor]:
    """`||X_j||_2` over all tokens of each input j of each linear layer, in one forward pass."""
    squares = [torch.zeros(linear.in_features, device=linear.weight.device) for linear in linears]

    def adding(total: Tensor) -> Hook:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            total.add_(inputs[0].flatten(0, -2).float().square().sum(0))
            return output

        return hook

    with _hooked([(linear, adding(total)) for linear, total in zip(linears, squares, strict=True)]):
        loss(model, rows)
    return [total.sqrt() for total in squares]
