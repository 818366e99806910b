"""A structured choice as data: what of a dense model stays, and the tensors that were computed anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from espalier_builder.checkpoint.decoder import HEADS, KV_HEADS, WIDTHS, build_decoder, ffn_widths, heads_of
from espalier_builder.checkpoint.family import DecoderModel, family_of

_NAMED = "tensor:"


@dataclass(frozen=True, slots=True)
class Cut:
    """Indices are ascending and those of the dense model.

    `layers` stay, in this order; the i-th of them keeps FFN neurons `neurons[i]` and key/value heads `groups[i]`, each
    with its query heads. `tensors` replaces or adds tensors of the smaller model, by their names there.
    """

    layers: tuple[int, ...]
    neurons: tuple[Tensor, ...]
    groups: tuple[Tensor, ...]
    tensors: dict[str, Tensor] = field(default_factory=dict)


def whole(model: DecoderModel) -> Cut:
    """The cut that removes nothing."""
    return Cut(
        layers=tuple(range(len(model.model.layers))),
        neurons=tuple(torch.arange(width) for width in ffn_widths(model)),
        groups=tuple(torch.arange(kv) for _, kv in heads_of(model)),
    )


@torch.inference_mode()
def apply_cut(model: DecoderModel, cut: Cut) -> DecoderModel:
    """The smaller model. Whatever isn't cut shares memory with `model`; nothing is zeroed, all is cut out."""
    dense = model.state_dict()
    tensors = {name: tensor for name, tensor in dense.items() if not name.startswith("model.layers.")}
    heads = [heads_of(model)[layer] for layer in cut.layers]
    size = model.model.layers[0].self_attn.head_dim
    for index, layer in enumerate(cut.layers):
        source, target = f"model.layers.{layer}.", f"model.layers.{index}."
        named = {name.removeprefix(source): value for name, value in dense.items() if name.startswith(source)}
        _keep_inputs(named, "mlp.down_proj", _keep_outputs(named, ("mlp.gate_proj", "mlp.up_proj"), cut.neurons[index]))
        query, kv = heads[index]
        _keep_outputs(named, ("self_attn.k_proj", "self_attn.v_proj"), channels(cut.groups[index], size))
        queries = channels(cut.groups[index], size * query // kv)
        _keep_inputs(named, "self_attn.o_proj", _keep_outputs(named, ("self_attn.q_proj",), queries))
        tensors |= {target + name: value for name, value in named.items()}
    kept = [len(groups) for groups in cut.groups]
    config = family_of(model).write(model.config) | {
        "num_hidden_layers": len(cut.layers),
        "head_dim": size,
        WIDTHS: [len(neurons) for neurons in cut.neurons],
        HEADS: [query // kv * count for (query, kv), count in zip(heads, kept, strict=True)],
        KV_HEADS: kept,
    }
    anew = {name: tensor.to(model.lm_head.weight.device) for name, tensor in cut.tensors.items()}
    return build_decoder(config, tensors | anew, "the pruned model")


def save_cut(cut: Cut, file: Path) -> None:
    """Write a cut as one safetensors file."""
    named = {_NAMED + name: tensor for name, tensor in cut.tensors.items()}
    indices = {f"neurons.{index}": neurons for index, neurons in enumerate(cut.neurons)}
    indices |= {f"groups.{index}": groups for index, groups in enumerate(cut.groups)}
    indices["layers"] = torch.tensor(cut.layers)
    save_file({name: tensor.contiguous() for name, tensor in (named | indices).items()}, file)


def load_cut(file: Path) -> Cut:
    tensors = load_file(file)
    layers = tuple(tensors["layers"].tolist())
    return Cut(
        layers=layers,
        neurons=tuple(tensors[f"neurons.{index}"] for index in range(len(layers))),
        groups=tuple(tensors[f"groups.{index}"] for index in range(len(layers))),
        tensors={name.removeprefix(_NAMED): tensor for name, tensor in tensors.items() if name.startswith(_NAMED)},
    )


def channels(groups: Tensor, size: int) -> Tensor:
    """Channel indices of `groups`, each of `size` channels."""
    return (groups[:, None] * size + torch.arange(size, device=groups.device)).flatten()


def _keep_outputs(named: dict[str, Tensor], linears: tuple[str, ...], rows: Tensor) -> Tensor:
    for name in (f"{linear}.{kind}" for linear in linears for kind in ("weight", "bias")):
        if name in named and len(rows) < len(named[name]):
            named[name] = named[name][rows]
    return rows


def _keep_inputs(named: dict[str, Tensor], linear: str, columns: Tensor) -> None:
    weight = named[f"{linear}.weight"]
    if len(columns) < weight.shape[1]:
        named[f"{linear}.weight"] = weight[:, columns].contiguous()
