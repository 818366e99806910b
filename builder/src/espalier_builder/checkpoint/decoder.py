"""A decoder whose layers may differ in FFN width, heads and biases, built from a configuration and named tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeGuard

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import FAMILIES, DecoderModel, Family, Json, ffn_inputs
from espalier_builder.failure import BuilderError

HEAD = "lm_head.weight"
# Our key in config.json: transformers insists that `intermediate_size` is one number, even to read a tokenizer.
WIDTHS = "layer_intermediate_sizes"
# Likewise for `num_attention_heads` and `num_key_value_heads`.
HEADS, KV_HEADS = "layer_attention_heads", "layer_key_value_heads"
# And, where a mask made weights zero, by which method.
MASK = "mask_method"


def build_decoder(
    config: Json, tensors: dict[str, Tensor], source: str, where: Mapping[str, str] = MappingProxyType({})
) -> DecoderModel:
    """The model in fp32 evaluation mode, sharing the tensors' memory where they are fp32 already.

    `config` is the content of a config.json; tensors have their names in memory (`Family.name_in_memory`). Widths that
    differ by layer are a list under `WIDTHS`, or, as older tools write it, under `intermediate_size`; heads that
    differ, under `HEADS` and `KV_HEADS`. A bias of o_proj or down_proj alone, which transformers' configuration can't
    say, is there where its tensor is.
    Raises BuilderError naming the tensor and its file, which is `source` unless `where` says otherwise:
    `ARCHITECTURE_UNSUPPORTED`, `TENSOR_MISSING`, `TENSOR_UNEXPECTED`, `TENSOR_SHAPE`, `TENSOR_TYPE`,
    `TENSOR_NOT_FINITE`, `CONFIG_INVALID`.
    """
    family = named_family(config, source)
    widths = config.get(WIDTHS, config.get("intermediate_size"))
    if isinstance(config.get("intermediate_size"), list):
        config = config | {"intermediate_size": max(config["intermediate_size"])}
    try:
        with torch.device("meta"):
            model = family.model(family.read(config))
        if model.config.max_position_embeddings < 1:
            raise ValueError(f"max_position_embeddings is {model.config.max_position_embeddings}")
    except Exception as error:  # transformers raises many types here, each for a configuration it can't build
        raise BuilderError(
            "CONFIG_INVALID",
            f"{source}: the configuration describes no {family.architecture} ({error})",
            "repair config.json, or take another model",
        ) from error
    if isinstance(widths, list):
        resize_ffn(model, widths, source)
    if HEADS in config or KV_HEADS in config:
        _resize_attention(model, config.get(HEADS), config.get(KV_HEADS), source)
    for name in tensors:
        _add_output_bias(model, name)

    weights = {name: tensor for name, tensor in tensors.items() if not name.endswith("rotary_emb.inv_freq")}
    if model.config.tie_word_embeddings or HEAD not in weights:
        weights.pop(HEAD, None)
        model.config.tie_word_embeddings = True
        model.lm_head.weight = model.model.embed_tokens.weight

    def subject(name: str) -> str:
        return f"{where.get(name, source)}: tensor {family.published_name(name)}"

    _require_fitting(model, family, weights, subject)
    _require_finite(weights, subject)
    weights = {name: tensor.float() for name, tensor in weights.items()}
    model.load_state_dict(weights, strict=False, assign=True)
    if model.config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    # On the meta device its frequencies have no values.
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
    model.requires_grad_(False)
    return model.eval()


def named_family(config: Json, source: str) -> Family:
    """The family that a config.json names. Raises BuilderError `ARCHITECTURE_UNSUPPORTED`."""
    kind = config.get("model_type", "llama")
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    architectures = config.get("architectures") or [family.architecture if family else "an architecture without a name"]
    if family is None or architectures != [family.architecture]:
        named = architectures[0] if isinstance(architectures, list) else architectures
        raise BuilderError(
            "ARCHITECTURE_UNSUPPORTED",
            f"{source} describes {named} (model_type {config.get('model_type')!r})",
            f"supported are {', '.join(each.architecture for each in FAMILIES.values())}",
        )
    return family


def resize_ffn(model: DecoderModel, widths: list[int], source: str) -> None:
    """Give layer i the FFN width `widths[i]`, on the meta device and without weights."""
    if len(widths) != len(model.model.layers) or not _are_counts(widths):
        raise BuilderError(
            "CONFIG_INVALID",
            f"{source}: the FFN widths {widths} don't describe {len(model.model.layers)} layers",
            "list one positive width a layer",
        )
    for layer, width in zip(model.model.layers, widths, strict=True):
        for linear in ffn_inputs(layer.mlp):
            _resize(linear, outputs=width)
        _resize(layer.mlp.down_proj, inputs=width)


def _are_counts(values: object) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(isinstance(value, int) and value > 0 for value in values)


def _resize_attention(model: DecoderModel, heads: object, kv_heads: object, source: str) -> None:
    """Give layer i `heads[i]` query heads in `kv_heads[i]` groups, on the meta device and without weights."""
    layers = model.model.layers
    if not (_are_counts(heads) and _are_counts(kv_heads) and len(heads) == len(kv_heads) == len(layers)) or any(
        query % kv != 0 for query, kv in zip(heads, kv_heads, strict=True)
    ):
        raise BuilderError(
            "CONFIG_INVALID",
            f"{source}: {HEADS} and {KV_HEADS} don't describe the heads of {len(layers)} layers",
            "list for every layer a positive number of key/value heads and a multiple of it of query heads",
        )
    for layer, query, kv in zip(layers, heads, kv_heads, strict=True):
        attention = layer.self_attn
        size = attention.head_dim
        _resize(attention.q_proj, outputs=query * size)
        _resize(attention.k_proj, outputs=kv * size)
        _resize(attention.v_proj, outputs=kv * size)
        _resize(attention.o_proj, inputs=query * size)
        attention.num_key_value_groups = query // kv


def _resize(linear: nn.Linear, *, inputs: int | None = None, outputs: int | None = None) -> None:
    """Give a linear layer another shape, on the meta device and without weights; a bias stays a bias."""
    linear.in_features, linear.out_features = inputs or linear.in_features, outputs or linear.out_features
    shape = (linear.out_features, linear.in_features)
    linear.weight = nn.Parameter(torch.empty(shape, device="meta"), requires_grad=False)
    if linear.bias is not None:
        linear.bias = nn.Parameter(torch.empty(linear.out_features, device="meta"), requires_grad=False)


def _add_output_bias(model: DecoderModel, name: str) -> None:
    """Make room for the bias tensor `name` where it is one of o_proj or down_proj that the configuration left out."""
    if not name.endswith(("o_proj.bias", "down_proj.bias")):
        return
    known = dict(model.named_modules())
    linear = known.get(name.removesuffix(".bias"))
    if isinstance(linear, nn.Linear) and linear.bias is None:
        linear.bias = nn.Parameter(torch.empty(linear.out_features, device="meta"), requires_grad=False)


def heads_of(model: DecoderModel) -> list[tuple[int, int]]:
    """(query heads, key/value heads) of each layer."""
    attentions = [layer.self_attn for layer in model.model.layers]
    return [
        (each.q_proj.out_features // each.head_dim, each.k_proj.out_features // each.head_dim) for each in attentions
    ]


def ffn_widths(model: DecoderModel) -> list[int]:
    return [layer.mlp.down_proj.in_features for layer in model.model.layers]


def non_embedding_parameters(model: DecoderModel) -> int:
    """Parameters outside embeddings and head, norms and biases included: what sparsity is a share of."""
    outside = {id(model.model.embed_tokens.weight), id(model.lm_head.weight)}
    if hasattr(model.model, "embed_positions"):
        outside.add(id(model.model.embed_positions.weight))
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in outside)


def all_parameters(model: DecoderModel) -> int:
    """All parameters, a tied embedding and head counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _require_fitting(
    model: DecoderModel, family: Family, weights: dict[str, Tensor], subject: Callable[[str], str]
) -> None:
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    if model.config.tie_word_embeddings:
        wanted.pop(HEAD, None)
    for name in sorted(wanted.keys() - weights.keys()):
        raise BuilderError("TENSOR_MISSING", f"{subject(name)} is missing", "fetch the checkpoint again")
    for name in sorted(weights.keys() - wanted.keys()):
        raise BuilderError(
            "TENSOR_UNEXPECTED",
            f"{subject(name)} belongs to no part of {family.architecture}",
            "only plain checkpoints of the family are supported",
        )
    for name, shape in wanted.items():
        if tuple(weights[name].shape) != shape:
            raise BuilderError(
                "TENSOR_SHAPE",
                f"{subject(name)} is {list(weights[name].shape)}, the configuration says {list(shape)}",
                "config.json and weights belong to different models; fetch both again",
            )


def _require_finite(weights: dict[str, Tensor], subject: Callable[[str], str]) -> None:
    for name, weight in weights.items():
        if not weight.is_floating_point():
            raise BuilderError(
                "TENSOR_TYPE",
                f"{subject(name)} holds {str(weight.dtype).removeprefix('torch.')}, whole numbers without their scales",
                "give the unquantized checkpoint",
            )
        if not bool(weight.isfinite().all()):
            raise BuilderError(
                "TENSOR_NOT_FINITE",
                f"{subject(name)} holds NaN or infinity",
                "the checkpoint is damaged or its training diverged; use another",
            )
