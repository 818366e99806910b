"""Refit in one pass: each layer solved by itself, on the inputs and for the outputs that it has in the dense model.

One pass gives the Gram matrices of all layers, and they serve every method and every sparsity: the next level costs
only its solutions. What the layers before lost is not made good, for which `refit` walks through them one by one.
Shapes: A channels that o_proj reads, F inputs of down_proj (FFN neurons), S of either that stay, H hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from espalier_builder.checkpoint.decoder import heads_of
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.prune.cut import Cut, channels
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.recover.ridge import RIDGE, add_gram, mirror, solve, with_ridge


@dataclass(frozen=True, slots=True)
class LayerGrams:
    """`X^T X` over `tokens` tokens of what o_proj `[A, A]` and down_proj `[F, F]` of one dense layer read, fp32."""

    attention: Tensor
    ffn: Tensor
    tokens: int


@torch.inference_mode()
def dense_grams(model: DecoderModel, rows: Tensor, *, bf16: bool = False) -> Iterator[LayerGrams]:
    """Of each layer in turn, in one pass of calibration `rows` `[N, T]` without the head; holds one layer's at once."""
    stream = HiddenStates(model, rows, bf16=bf16)
    for layer in model.model.layers:
        attention, ffn = (_gram(stream, block) for block in stream.blocks(layer))
        yield LayerGrams(attention, ffn, stream.tokens)


@torch.inference_mode()
def refit_one_pass(
    dense: DecoderModel,
    cut: Cut,
    grams: Iterable[LayerGrams],
    *,
    ridge: float = RIDGE,
    progress: Callable[[float], None] = lambda _: None,
) -> Cut:
    """`cut`, which keeps every layer, with o_proj and down_proj solved again where they lost inputs.

    `ridge`: see `with_ridge`. Holds the Gram matrices of one layer. Raises BuilderError `REFIT_SINGULAR`.
    """
    tensors, layers = dict(cut.tensors), dense.model.layers
    for index, (layer, known) in enumerate(zip(layers, grams, strict=True)):
        attention, ffn = layer.self_attn.o_proj, layer.mlp.down_proj
        groups = channels(cut.groups[index], attention.in_features // heads_of(dense)[index][1])
        for name, linear, gram, kept in (
            ("self_attn.o_proj", attention, known.attention, groups),
            ("mlp.down_proj", ffn, known.ffn, cut.neurons[index]),
        ):
            if len(kept) < linear.in_features:
                damped = with_ridge(gram.to(linear.weight.device), known.tokens, ridge)
                tensors[f"model.layers.{index}.{name}.weight"] = solve(linear.weight, damped, kept.to(damped.device))
        progress((index + 1) / len(layers))
    return replace(cut, tensors=tensors)


def save_grams(grams: Iterable[LayerGrams], folder: Path) -> None:
    """Writes a file a layer into `folder`, each as soon as it is there."""
    for index, each in enumerate(grams):
        tensors = {"attention": each.attention, "ffn": each.ffn, "tokens": torch.tensor(each.tokens)}
        save_file(tensors, folder / f"{index}.safetensors")


@dataclass(frozen=True, slots=True)
class SavedGrams:
    """What `save_grams` wrote of `layers` layers, each read when its turn comes."""

    folder: Path
    layers: int

    def __iter__(self) -> Iterator[LayerGrams]:
        for index in range(self.layers):
            tensors = load_file(self.folder / f"{index}.safetensors")
            yield LayerGrams(tensors["attention"], tensors["ffn"], int(tensors["tokens"]))


def _gram(stream: HiddenStates, block: Block) -> Tensor:
    """Of the inputs of the block's last linear layer; the stream goes through the block."""
    size, weight = block.linear.in_features, block.linear.weight
    gram = torch.zeros(size, size, device=weight.device)
    for states in stream.batches():
        inner = block.inner(states)
        add_gram(gram, inner.float())
        stream.add_output(states, inner, weight, block.linear.bias)
    mirror(gram)
    return gram
