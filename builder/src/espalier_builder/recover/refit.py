"""Closed-form recovery without gradients: o_proj and down_proj are solved again by ridge regression, layer by layer.

In the line of Optimal Brain Surgeon, ZipLM and SlimGPT. Shapes: T tokens, H hidden size, F dense and S kept inputs
of the linear layer (FFN neurons, or channels of attention heads); X `[T, F]` its inputs, W `[H, F]` its weight.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.decoder import heads_of
from espalier_builder.checkpoint.family import DecoderLayer, DecoderModel, ffn_inputs
from espalier_builder.failure import BuilderError
from espalier_builder.prune.cut import Cut, channels
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.recover.surgeon import eliminate

# Ridge at one token an input. With 16,384 tokens it shrinks correlations between SmolLM2's 1,536 neurons by half.
RIDGE = 10.0
# Share of the mean diagonal that is always added, for inputs that hardly ever fire.
_LEAST_RIDGE = 1e-4
# Rows of a Gram matrix computed at once: its lower triangle needs no computing, in steps of this.
PANEL = 256


@dataclass(frozen=True, slots=True)
class Refit:
    """How much of the error so far a block makes good, and how little the statistics are believed.

    `ridge`: see `with_ridge`. `correction`: share of the difference between the dense
    and the pruned model's stream that is part of the target; 0 imitates the dense block on the pruned stream.
    With a correction, tokens of overlong states count less (see `trust`), and what reads the stream is solved again too
    (see `_Streams.reads`).
    """

    ridge: float = RIDGE
    correction: float = 0.0


def correct(weight: Tensor, damped: Tensor, missing: Tensor) -> Tensor:
    """`W + (missing^T damped^-1)`: the weight that adds to the block's output what the stream lacks.

    `missing` `[F, H]` is X^T times the wanted addition, `damped` `[F, F]` is X^T X with the ridge on its diagonal.
    Raises BuilderError `REFIT_SINGULAR`.
    """
    return weight + torch.cholesky_solve(missing, factor(damped)).T


def solve(weight: Tensor, damped: Tensor, kept: Tensor) -> Tensor:
    """`W' [H, S]`, the weight on the inputs `kept` that comes closest to the output `X W^T` of all.

    Minimises `|X_S W'^T - X W^T|^2 + |(W' - W_S) D|^2`, with `damped` = `X^T X + D^2` `[F, F]`, D diagonal. The ridge
    pulls towards the weights that were, not to zero: directions that calibration didn't see keep the dense weights.
    Raises BuilderError `REFIT_SINGULAR`.
    """
    removed = complement(kept, weight.shape[1])
    contributed = damped[kept[:, None], removed] @ weight[:, removed].T  # [S, H], what the removed inputs gave
    return weight[:, kept] + torch.cholesky_solve(contributed, factor(damped[kept[:, None], kept])).T


def with_ridge(gram: Tensor, tokens: int, ridge: float = RIDGE) -> Tensor:
    """`gram` `[F, F]` of `tokens` tokens, `ridge * F / tokens` times its own diagonal added: a weight is held where it
    was by its own input's energy.

    Neurons differ in energy by orders of magnitude. A ridge that is the same for all (a share of the mean) leaves the
    loud ones free to fit what is chance in the calibration text; shrinking correlations treats all alike. How much of a
    correlation is chance goes with inputs per token, as in Ledoit and Wolf's shrinkage of covariances (2004).
    """
    result = gram.clone()
    diagonal = result.diagonal()
    diagonal.mul_(1 + ridge * len(gram) / tokens).add_(_LEAST_RIDGE * diagonal.mean())
    return result


def factor(damped: Tensor) -> Tensor:
    """The Cholesky factor. Raises BuilderError `REFIT_SINGULAR`."""
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(damped)
    if int(failed) != 0:
        raise BuilderError(
            "REFIT_SINGULAR",
            "the calibration statistics of a layer are not positive definite",
            "give more calibration tokens, or prune without refit",
        )
    return lower


@torch.inference_mode()
def refit(
    dense: DecoderModel,
    cut: Cut,
    rows: Tensor,
    *,
    settings: Refit = Refit(),
    widths: Sequence[int] | None = None,
    bf16: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Cut:
    """`cut` with o_proj and down_proj solved again over calibration `rows` `[N, T]` where they lost inputs.

    With a correction all of them are, and those that read the stream; the dense model runs beside the pruned one. The
    layer before layers that are gone then aims at the stream behind them, and those after make good what it misses.

    Sequential, first layer first: statistics and target come from the stream that the pruned and refitted layers before
    produce. With `widths` layer i's FFN neurons are chosen on the way, by `eliminate`, instead of taken from `cut`.
    Costs about three forward passes without the head; holds `[N, T, H]` fp32 twice, one layer's X and three `[F, F]`
    fp32 matrices. Raises BuilderError `REFIT_SINGULAR`.
    """
    streams = _Streams(HiddenStates(dense, rows, bf16=bf16), HiddenStates(dense, rows, bf16=bf16))
    tensors, neurons, layers = dict(cut.tensors), list(cut.neurons), dense.model.layers
    corrects = settings.correction > 0
    ends = (*cut.layers[1:], len(layers))
    streams.skip(layers[: cut.layers[0]])
    for at, (source, end) in enumerate(zip(cut.layers, ends, strict=True)):
        layer = layers[source]
        solved = copy.deepcopy(layer) if corrects else layer
        names = {module: name for name, module in solved.named_modules()}
        for reference, block in zip(streams.dense.blocks(layer), streams.pruned.blocks(solved), strict=True):
            attention = block.linear is solved.self_attn.o_proj
            norm = solved.input_layernorm if attention else solved.post_attention_layernorm
            heads = solved.self_attn
            readers = [heads.q_proj, heads.k_proj, heads.v_proj] if attention else ffn_inputs(solved.mlp)
            changed = corrects and streams.reads(norm, readers, settings.ridge)
            if corrects:
                streams.dense.go_through(reference)
                streams.skip(() if attention else layers[source + 1 : end])
            groups = heads_of(dense)[source][1]
            if attention:
                kept: Tensor | int = channels(cut.groups[at], block.linear.in_features // groups)
            else:
                kept = cut.neurons[at] if widths is None else widths[at]
            inputs, weight = streams.refit(block, kept, settings)
            if weight is not block.linear.weight:
                tensors[f"model.layers.{at}.{block.name}.weight"] = weight
            if not attention:
                neurons[at] = inputs
            for reader in readers if changed else ():
                rows_kept = channels(cut.groups[at], reader.out_features // groups) if attention else inputs
                tensors[f"model.layers.{at}.{names[reader]}.weight"] = reader.weight[rows_kept]
        progress((at + 1) / len(cut.layers))
    return replace(cut, neurons=tuple(neurons), tensors=tensors)


@dataclass(frozen=True, slots=True)
class _Streams:
    """The dense and the pruned model's residual streams at the same depth."""

    dense: HiddenStates
    pruned: HiddenStates

    def skip(self, gone: Iterable[DecoderLayer]) -> None:
        """Takes the dense model's stream through layers that the pruned one lacks."""
        for layer in gone:
            for block in self.dense.blocks(layer):
                self.dense.go_through(block)

    def reads(self, norm: nn.Module, readers: list[nn.Linear], ridge: float) -> bool:
        """Changes the `readers` of the normalised stream so that they give on the pruned one what they give on the
        dense one, as far as it is linear (asymmetric calibration, in the line of GPTAQ, arXiv:2504.02692). False where
        the streams are still the same.

        `W' = W (I + M)^T` with M `[H, H]` the ridge regression of what the pruned model's inputs X lack of the dense
        one's, so all of them share it: `M = ((X^T X + D^2)^-1 X^T (X_dense - X))^T`. Raises BuilderError
        `REFIT_SINGULAR`.
        """
        size = readers[0].in_features
        gram, missing = (torch.zeros(size, size, device=readers[0].weight.device) for _ in range(2))
        for states, wanted in zip(self.pruned.batches(), self.dense.batches(), strict=True):
            inputs = norm(states).flatten(0, 1)
            add_gram(gram, inputs)
            missing += inputs.T @ (norm(wanted).flatten(0, 1) - inputs)
        if not bool(missing.any()):
            return False
        mirror(gram)
        shift = torch.cholesky_solve(missing, factor(with_ridge(gram, self.pruned.tokens, ridge)))
        for reader in readers:
            reader.weight.copy_(reader.weight + reader.weight @ shift.T)
        return True

    def refit(self, block: Block, kept: Tensor | int, settings: Refit) -> tuple[Tensor, Tensor]:
        """Kept inputs and the weight on them, after the pruned stream went through; the dense one is ahead already.

        `kept`: which inputs, or how many of them.
        """
        weight, bias = block.linear.weight, block.linear.bias
        size = block.linear.in_features
        if settings.correction == 0 and size == (kept if isinstance(kept, int) else len(kept)):
            self.pruned.go_through(block)
            return torch.arange(size, device=weight.device), weight
        gram = torch.zeros(size, size, device=weight.device)
        missing = torch.zeros(size, weight.shape[0], device=weight.device)
        inners = []
        for states, wanted in zip(self.pruned.batches(), self.dense.batches(), strict=True):
            inner = block.inner(states)
            if settings.correction == 0:
                add_gram(gram, inner.float())
            else:
                with self.pruned.precision():
                    reached = states.flatten(0, 1) + torch.nn.functional.linear(inner, weight, bias)
                    weights = trust(reached)
                    lacking = settings.correction * weights * (wanted.flatten(0, 1) - reached)
                    missing += inner.T @ lacking.to(inner.dtype)
                add_gram(gram, inner.float() * weights.sqrt())
            inners.append(inner)
        mirror(gram)
        gram = with_ridge(gram, self.pruned.tokens, settings.ridge)
        if settings.correction > 0:
            weight = correct(weight, gram, missing)
        if isinstance(kept, int):
            kept, weight = eliminate(weight, torch.cholesky_inverse(factor(gram)), kept)
        elif len(kept) < size:
            weight = solve(weight, gram, kept)
        for states, inner in zip(self.pruned.batches(), inners, strict=True):
            self.pruned.add_output(states, inner[:, kept], weight, bias)
        return kept, weight


def trust(states: Tensor) -> Tensor:
    """Weight `[T, 1]` of each token's error: 1, less for tokens whose state `[T, H]` is longer than the median.

    A few tokens (the first of a row, above all) carry states a hundred times as long as others', and what is added to
    them counts relative to that. Unweighted, they would be all that a least-squares correction sees.
    """
    squares = states.float().square().sum(1, keepdim=True)
    return (squares.median() / squares.clamp(min=1e-12)).clamp(max=1)


def add_gram(gram: Tensor, inner: Tensor) -> None:
    """Add `X_S^T X` of inputs `[T, F]`, kept ones first, to `gram` `[S, F]`: its upper panels only."""
    for start in range(0, len(gram), PANEL):
        end = min(start + PANEL, len(gram))
        gram[start:end, start:] += inner[:, start:end].T @ inner[:, start:]


def mirror(gram: Tensor) -> None:
    """Fill what `add_gram` left out: `X_S^T X_S` is symmetric."""
    for start in range(0, len(gram), PANEL):
        end = min(start + PANEL, len(gram))
        gram[end:, start:end] = gram[start:end, end : len(gram)].T


def complement(kept: Tensor, width: int) -> Tensor:
    """The inputs of 0..width-1 that aren't kept, ascending."""
    gone = torch.ones(width, dtype=torch.bool, device=kept.device)
    gone[kept] = False
    return gone.nonzero().flatten()
