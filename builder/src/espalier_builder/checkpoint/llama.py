"""A LLaMA whose layers may differ in FFN width, heads and biases, built from a configuration and named tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from espalier_builder.failure import BuilderError

Json = dict[str, Any]
HEAD = "lm_head.weight"
# Our key in config.json: transformers insists that `intermediate_size` is one number, even to read a tokenizer.
WIDTHS = "layer_intermediate_sizes"
# Likewise for `num_attention_heads` and `num_key_value_heads`.
HEADS, KV_HEADS = "layer_attention_heads", "layer_key_value_heads"


def build_llama(config: Json, tensors: dict[str, Tensor], source: str) -> LlamaForCausalLM:
    """The model in fp32 evaluation mode, sharing the tensors' memory where they are fp32 already.

    `config` is a transformers LLaMA configuration. Widths that differ by layer are a list under `WIDTHS`, or, as older
    tools write it, under `intermediate_size`; heads that differ, under `HEADS` and `KV_HEADS`. A bias of o_proj or
    down_proj alone, which transformers' configuration can't say, is there where its tensor is.
    Raises BuilderError naming `source` and the tensor: `TENSOR_MISSING`, `TENSOR_UNEXPECTED`, `TENSOR_SHAPE`,
    `TENSOR_NOT_FINITE`, `CONFIG_INVALID`.
    """
    widths = config.get(WIDTHS, config.get("intermediate_size"))
    try:
        llama_config = LlamaConfig(
            **{**config, "intermediate_size": max(widths) if isinstance(widths, list) else widths}
        )
        with torch.device("meta"):
            model = LlamaForCausalLM(llama_config)
    except Exception as error:  # transformers raises many types here, each for a configuration it can't build
        raise BuilderError(
            "CONFIG_INVALID", f"{source}: the configuration describes no LLaMA ({error})", "repair config.json"
        ) from error
    if isinstance(widths, list):
        resize_ffn(model, widths, source)
    if HEADS in config or KV_HEADS in config:
        _resize_attention(model, config.get(HEADS, []), config.get(KV_HEADS, []), source)
    for name in tensors:
        _add_output_bias(model, name)

    weights = {name: tensor.float() for name, tensor in tensors.items() if not name.endswith("rotary_emb.inv_freq")}
    if llama_config.tie_word_embeddings or HEAD not in weights:
        weights.pop(HEAD, None)
        model.config.tie_word_embeddings = True
        model.lm_head.weight = model.model.embed_tokens.weight
    _require_fitting(model, weights, source)
    _require_finite(weights, source)
    model.load_state_dict(weights, strict=False, assign=True)
    if model.config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    model.model.rotary_emb = LlamaRotaryEmbedding(model.config)
    model.requires_grad_(False)
    return model.eval()


def resize_ffn(model: LlamaForCausalLM, widths: list[int], source: str) -> None:
    """Give layer i the FFN width `widths[i]`, on the meta device and without weights."""
    if len(widths) != len(model.model.layers) or min(widths) < 1:
        raise BuilderError(
            "CONFIG_INVALID",
            f"{source}: intermediate_size lists {len(widths)} widths for {len(model.model.layers)} layers",
            "list one positive width a layer",
        )
    hidden = model.config.hidden_size
    bias = model.config.mlp_bias
    for layer, width in zip(model.model.layers, widths, strict=True):
        mlp = layer.mlp
        mlp.gate_proj = nn.Linear(hidden, width, bias=bias, device="meta")
        mlp.up_proj = nn.Linear(hidden, width, bias=bias, device="meta")
        mlp.down_proj = nn.Linear(width, hidden, bias=bias, device="meta")
        mlp.intermediate_size = width


def _resize_attention(model: LlamaForCausalLM, heads: list[int], kv_heads: list[int], source: str) -> None:
    """Give layer i `heads[i]` query heads in `kv_heads[i]` groups, on the meta device and without weights."""
    layers = model.model.layers
    fits = len(heads) == len(kv_heads) == len(layers)
    if not fits or any(kv < 1 or query % kv != 0 for query, kv in zip(heads, kv_heads, strict=True)):
        raise BuilderError(
            "CONFIG_INVALID",
            f"{source}: {HEADS} and {KV_HEADS} don't describe the heads of {len(layers)} layers",
            "list for every layer a positive number of key/value heads and a multiple of it of query heads",
        )
    hidden, bias = model.config.hidden_size, model.config.attention_bias
    for layer, query, kv in zip(layers, heads, kv_heads, strict=True):
        attention = layer.self_attn
        size = attention.head_dim
        attention.q_proj = nn.Linear(hidden, query * size, bias=bias, device="meta")
        attention.k_proj = nn.Linear(hidden, kv * size, bias=bias, device="meta")
        attention.v_proj = nn.Linear(hidden, kv * size, bias=bias, device="meta")
        attention.o_proj = nn.Linear(query * size, hidden, bias=bias, device="meta")
        attention.num_key_value_groups = query // kv


def _add_output_bias(model: LlamaForCausalLM, name: str) -> None:
    """Make room for the bias tensor `name` where it is one of o_proj or down_proj that the configuration left out."""
    if not name.endswith(("o_proj.bias", "down_proj.bias")):
        return
    known = dict(model.named_modules())
    linear = known.get(name.removesuffix(".bias"))
    if isinstance(linear, nn.Linear) and linear.bias is None:
        linear.bias = nn.Parameter(torch.empty(linear.out_features, device="meta"), requires_grad=False)


def heads_of(model: LlamaForCausalLM) -> list[tuple[int, int]]:
    """(query heads, key/value heads) of each layer."""
    attentions = [layer.self_attn for layer in model.model.layers]
    return [
        (each.q_proj.out_features // each.head_dim, each.k_proj.out_features // each.head_dim) for each in attentions
    ]


def ffn_widths(model: LlamaForCausalLM) -> list[int]:
    return [layer.mlp.down_proj.in_features for layer in model.model.layers]


def non_embedding_parameters(model: LlamaForCausalLM) -> int:
    """Parameters outside embedding and head, norms and biases included: what sparsity is a share of."""
    outside = {id(model.model.embed_tokens.weight), id(model.lm_head.weight)}
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in outside)


def all_parameters(model: LlamaForCausalLM) -> int:
    """All parameters, a tied embedding and head counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _require_fitting(model: LlamaForCausalLM, weights: dict[str, Tensor], source: str) -> None:
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    if model.config.tie_word_embeddings:
        wanted.pop(HEAD, None)
    for name in sorted(wanted.keys() - weights.keys()):
        raise BuilderError("TENSOR_MISSING", f"{source}: tensor {name} is missing", "fetch the checkpoint again")
    for name in sorted(weights.keys() - wanted.keys()):
        raise BuilderError(
            "TENSOR_UNEXPECTED",
            f"{source}: tensor {name} belongs to no part of a LLaMA",
            "only plain LLaMA-family checkpoints are supported",
        )
    for name, shape in wanted.items():
        if tuple(weights[name].shape) != shape:
            raise BuilderError(
                "TENSOR_SHAPE",
                f"{source}: tensor {name} is {list(weights[name].shape)}, the configuration says {list(shape)}",
                "config.json and weights belong to different models; fetch both again",
            )


def _require_finite(weights: dict[str, Tensor], source: str) -> None:
    for name, weight in weights.items():
        if not bool(weight.isfinite().all()):
            raise BuilderError(
                "TENSOR_NOT_FINITE",
                f"{source}: tensor {name} holds NaN or infinity",
                "the checkpoint is damaged or its training diverged; use another",
            )
