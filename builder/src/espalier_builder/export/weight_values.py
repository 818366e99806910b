"""The bytes of every tensor of a layout, read from a model one group at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.checkpoint.opt import POSITION_OFFSET
from espalier_builder.export.rotary import rotary_tables
from espalier_builder.export.weight_layout import TensorGroup, WeightLayout
from espalier_builder.prune.walk import stacks
from espalier_builder.quantize.grid import QuantizedMatrix
from espalier_builder.quantize.model import UNCALIBRATED, Matrices, stacked
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import VariantFormats, WeightFormat

Array = NDArray[np.float32] | NDArray[np.uint8]


@torch.no_grad()
def weight_values(
    model: DecoderModel, layout: WeightLayout, formats: VariantFormats, matrices: Matrices = UNCALIBRATED
) -> Iterator[tuple[TensorGroup, dict[str, Array]]]:
    """Yields each group with its tensors' values by name: no more than one group is held beside the model.

    Matrices that aren't in `matrices` are rounded to nearest.
    """
    for group in layout.groups:
        tensors = _group_tensors(model, group, formats, matrices)
        yield group, {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}


def _group_tensors(
    model: DecoderModel, group: TensorGroup, formats: VariantFormats, matrices: Matrices
) -> dict[str, Tensor]:
    match group.name.split("."):
        case ["positions"]:
            return _positions(model, group.tensors[0].shape[0])
        case ["embedding"]:
            return _matrix("embedding", model.model.embed_tokens.weight, formats.embedding)
        case ["layers", index, part]:
            layer = model.model.layers[int(index)]
            norm = layer.input_layernorm if part == "attention" else layer.post_attention_layernorm
            tensors = _norm(f"{group.name}.norm", norm)
            if part == "attention" and hasattr(layer.self_attn, "q_norm"):
                attention = layer.self_attn
                norms = {"query": attention.q_norm.weight, "key": attention.k_norm.weight}
                tensors |= {f"{group.name}.{which}_norm": weight for which, weight in norms.items()}
            for stack, linears in stacks(layer).items():
                if stack.startswith(f"{part}."):
                    name = f"layers.{index}.{stack}"
                    tensors |= _matrix(name, stacked(linears), formats.linear.of(name), matrices.get(name)) | _bias(
                        name, linears
                    )
            return tensors
        case ["head"]:
            tied = model.lm_head.weight is model.model.embed_tokens.weight
            head = {} if tied else _matrix("head", model.lm_head.weight, formats.embedding)
            return {**_norm("norm", model.model.norm), **head}
    raise KeyError(f"no tensors are known for group {group.name!r}")


def _positions(model: DecoderModel, count: int) -> dict[str, Tensor]:
    if hasattr(model.model, "embed_positions"):
        return {"positions.weight": model.model.embed_positions.weight[POSITION_OFFSET : POSITION_OFFSET + count]}
    cosines, sines = rotary_tables(model, count)
    return {"rotary.cos": cosines, "rotary.sin": sines}


def _norm(name: str, norm: nn.Module) -> dict[str, Tensor]:
    weight: Tensor = norm.weight  # type: ignore[assignment]
    return {name: weight, f"{name}.bias": norm.bias} if isinstance(norm, nn.LayerNorm) else {name: weight}


def _bias(name: str, linears: list[nn.Linear]) -> dict[str, Tensor]:
    biases: list[Tensor] = [linear.bias for linear in linears if linear.bias is not None]
    return {f"{name}.bias": torch.cat(biases).float()} if biases else {}


def _matrix(
    name: str, weight: Tensor, weight_format: WeightFormat, calibrated: QuantizedMatrix | None = None
) -> dict[str, Tensor]:
    if not weight_format.quantized:
        return {f"{name}.weight": weight.float()}
    matrix = calibrated or quantize_rtn(weight, weight_format)
    tensors = {f"{name}.data": matrix.packed_data(), f"{name}.scales": matrix.scales}
    zero_points = matrix.packed_zero_points()
    if zero_points is not None:
        tensors[f"{name}.zero_points"] = zero_points
    return tensors
