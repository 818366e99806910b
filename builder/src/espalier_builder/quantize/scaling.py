"""Scales on the inputs of matrices, folded into what comes before: the graph stays as it is and computes the same.

A matrix's input channel j is multiplied by s_j and whatever makes that channel divided by it: the norm before qkv and
gate_up, v_proj's rows before o_proj, up_proj's before down_proj. Shapes: C input channels.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderLayer, DecoderModel, ffn_inputs
from espalier_builder.prune.walk import stacks

# By the matrix's name in the exported file, e.g. `layers.0.attention.qkv`: s `[C]`, all above 0.
Scales = Mapping[str, Tensor]


def scaled_copy(model: DecoderModel, scales: Scales) -> DecoderModel:
    """A copy of `model` that computes the same with the matrices' inputs scaled; `model` is untouched."""
    result = copy.deepcopy(model)
    for index, layer in enumerate(result.model.layers):
        prefix = f"layers.{index}."
        scale_layer(layer, {name: scales[prefix + name] for name in stacks(layer) if prefix + name in scales})
    return result


@torch.no_grad()
def scale_layer(layer: DecoderLayer, scales: Scales) -> None:
    """Fold `scales`, by the matrices' names within the layer, in place."""
    for name, scale in scales.items():
        for linear in stacks(layer)[name]:
            linear.weight.mul_(scale)
        makers: dict[str, nn.Module] = {
            "attention.qkv": layer.input_layernorm,
            "attention.output": layer.self_attn.v_proj,
            "ffn.gate_up": layer.post_attention_layernorm,
            "ffn.down": ffn_inputs(layer.mlp)[-1],
        }
        outputs = by_kv_head(layer, scale)[:, 0].flatten() if name == "attention.output" else scale
        for parameter in (getattr(makers[name], kind, None) for kind in ("weight", "bias")):
            if parameter is not None:
                parameter.div_(outputs if parameter.ndim == 1 else outputs[:, None])


def by_kv_head(layer: DecoderLayer, channels: Tensor) -> Tensor:
    """o_proj's inputs `[C]` as `[KV heads, queries that share one, head size]`."""
    attention = layer.self_attn
    kv_heads = attention.v_proj.out_features // attention.head_dim
    grouped: Tensor = channels.unflatten(0, (kv_heads, -1, attention.head_dim))
    return grouped


def shared_by_queries(layer: DecoderLayer, channels: Tensor) -> Tensor:
    """`channels` `[C]` of o_proj's inputs, averaged over the queries that read the same value channel (ours: the
    published code scales no o_proj whose values are shared)."""
    grouped = by_kv_head(layer, channels)
    return grouped.mean(1, keepdim=True).expand_as(grouped).flatten()
