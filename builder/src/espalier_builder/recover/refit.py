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
from espalier_builder.prune.cut import Cut, channels
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.recover.ridge import RIDGE, add_gram, correct, factor, mirror, solve, trust, with_ridge
from espalier_builder.recover.surgeon import eliminate


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
