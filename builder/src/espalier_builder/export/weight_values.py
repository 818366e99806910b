"""The bytes of every tensor of a layout, read from a model one group at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.export.rotary import rotary_tables
from espalier_builder.export.weight_layout import TensorGroup, WeightLayout
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import VariantFormats, WeightFormat

Array = NDArray[np.float32] | NDArray[np.uint8]


@torch.no_grad()
def weight_values(
    model: LlamaForCausalLM, layout: WeightLayout, formats: VariantFormats
) -> Iterator[tuple[TensorGroup, dict[str, Array]]]:
    """Yields each group with its tensors' values by name: no more than one group is held beside the model."""
    for group in layout.groups:
        tensors = _group_tensors(model, group, formats)
        yield group, {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}


def _group_tensors(model: LlamaForCausalLM, group: TensorGroup, formats: VariantFormats) -> dict[str, Tensor]:
    match group.name.split("."):
        case ["rotary"]:
            positions = group.tensors[0].shape[0]
            cosines, sines = rotary_tables(model, positions)
            return {"rotary.cos": cosines, "rotary.sin": sines}
        case ["embedding"]:
            return _matrix("embedding", model.model.embed_tokens.weight, None, formats.embedding)
        case ["layers", index, "attention"]:
            layer, attention = model.model.layers[int(index)], model.model.layers[int(index)].self_attn
            packed = _stacked([attention.q_proj, attention.k_proj, attention.v_proj])
            return {
                f"{group.name}.norm": layer.input_layernorm.weight,
                **_matrix(f"{group.name}.qkv", *packed, formats.linear),
                **_matrix(f"{group.name}.output", *_stacked([attention.o_proj]), formats.linear),
            }
        case ["layers", index, "ffn"]:
            layer = model.model.layers[int(index)]
            return {
                f"{group.name}.norm": layer.post_attention_layernorm.weight,
                **_matrix(f"{group.name}.gate_up", *_stacked([layer.mlp.gate_proj, layer.mlp.up_proj]), formats.linear),
                **_matrix(f"{group.name}.down", *_stacked([layer.mlp.down_proj]), formats.linear),
            }
        case ["head"]:
            tied = model.lm_head.weight is model.model.embed_tokens.weight
            head = {} if tied else _matrix("head", model.lm_head.weight, None, formats.embedding)
            return {"norm": model.model.norm.weight, **head}
    raise KeyError(f"no tensors are known for group {group.name!r}")


def _stacked(linears: list[torch.nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """Weights `[sum of outputs, inputs]` and biases of linears that read the same input."""
    biases: list[Tensor] = [linear.bias for linear in linears if linear.bias is not None]
    weights: list[Tensor] = [linear.weight for linear in linears]
    return torch.cat(weights), torch.cat(biases) if biases else None


def _matrix(name: str, weight: Tensor, bias: Tensor | None, weight_format: WeightFormat) -> dict[str, Tensor]:
    tail = {} if bias is None else {f"{name}.bias": bias.float()}
    if not weight_format.quantized:
        return {f"{name}.weight": weight.float(), **tail}
    matrix = quantize_rtn(weight, weight_format)
    tensors = {f"{name}.data": matrix.packed_data(), f"{name}.scales": matrix.scales}
    zero_points = matrix.packed_zero_points()
    if zero_points is not None:
        tensors[f"{name}.zero_points"] = zero_points
    return {**tensors, **tail}
