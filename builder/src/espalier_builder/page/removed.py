"""What of the dense model a variant still has, layer by layer, read off its exported weights.

Rows of q_proj, and of the matrices that read the FFN's input, are never mixed by a method, only rounded and, with the
norm before them, scaled: times the norm's weight, a row of the variant is the dense row that it is most like.
Shapes: H hidden size, D head size, F FFN width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espalier_builder.checkpoint.decoder import ffn_widths, heads_of
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.export.shape import linear_formats
from espalier_builder.export.weight_layout import WEIGHTS_FILE
from espalier_builder.prune.walk import stacks
from espalier_builder.quantize.grid import QuantizedMatrix
from espalier_builder.quantize.model import stacked

BINS = 48


@dataclass(frozen=True, slots=True)
class LayerRemoval:
    """Shares removed, 0..1, of a layer of the dense model: of each query head, and of each of `BINS` runs of neurons.

    `zeros`: share of its matrices' entries that are exactly zero.
    """

    heads: tuple[float, ...]
    neurons: tuple[float, ...]
    zeros: float


@torch.inference_mode()
def removed_by_layer(dense: DecoderModel, folder: Path, manifest: dict[str, Any]) -> list[LayerRemoval]:
    """One entry a layer of the dense model; a layer that is gone has lost everything."""
    weights = ExportedWeights(folder, manifest)
    gone = [
        LayerRemoval((1.0,) * heads, (1.0,) * min(BINS, width), 0.0)
        for (heads, _), width in zip(heads_of(dense), ffn_widths(dense), strict=True)
    ]
    layers, following = list(gone), 0
    shapes = manifest["shape"]["layers"]
    profiles = [_profile(_queries(dense, at)) for at in range(len(gone))]
    for index, shape in enumerate(shapes):
        profile = _profile(_exported_queries(dense, weights, index, shape))
        # Layers keep their order: the next one of the dense model that reads its input as this one does.
        rest = range(following, len(gone) - (len(shapes) - index - 1))
        source = max(rest, key=lambda at: float(profile @ profiles[at]))
        layers[source] = _layer(dense, source, weights, index, shape)
        following = source + 1
    return layers


def _layer(
    dense: DecoderModel, source: int, weights: ExportedWeights, index: int, shape: dict[str, int]
) -> LayerRemoval:
    layer = dense.model.layers[source]
    linears = stacks(layer)
    size, hidden = layer.self_attn.head_dim, dense.config.hidden_size
    heads, width = heads_of(dense)[source][0], ffn_widths(dense)[source]
    inputs = {"attention.output": shape["heads"] * size, "ffn.down": shape["ffnSize"]}
    matrices = {name: weights.matrix(f"layers.{index}.{name}", inputs.get(name, hidden)) for name in linears}
    kept_heads = _places(
        _exported_queries(dense, weights, index, shape).reshape(shape["heads"], -1),
        _queries(dense, source).reshape(heads, -1),
    )
    ffn_norm = weights.vector(f"layers.{index}.ffn.norm")
    kept_neurons = _places(
        _by_neuron(matrices["ffn.gate_up"] * ffn_norm, shape["ffnSize"]),
        _by_neuron((stacked(linears["ffn.gate_up"]) * layer.post_attention_layernorm.weight).cpu(), width),
    )
    runs = [part for part in np.array_split(np.arange(width), BINS) if len(part) > 0]
    zeros = sum(int((matrix == 0).sum()) for matrix in matrices.values())
    return LayerRemoval(
        heads=tuple(0.0 if head in kept_heads else 1.0 for head in range(heads)),
        neurons=tuple(1 - sum(int(neuron) in kept_neurons for neuron in run) / len(run) for run in runs),
        zeros=zeros / sum(matrix.numel() for matrix in matrices.values()),
    )


def _queries(dense: DecoderModel, layer: int) -> Tensor:
    """Rows of q_proj times the weight of the norm that they read: the same however a quantizer scales the two."""
    weights: Tensor = dense.model.layers[layer].self_attn.q_proj.weight
    norm: Tensor = dense.model.layers[layer].input_layernorm.weight
    return (weights * norm).cpu()


def _exported_queries(dense: DecoderModel, weights: ExportedWeights, index: int, shape: dict[str, int]) -> Tensor:
    rows = shape["heads"] * dense.model.layers[0].self_attn.head_dim
    packed = weights.matrix(f"layers.{index}.attention.qkv", dense.config.hidden_size)
    queries: Tensor = packed[:rows] * weights.vector(f"layers.{index}.attention.norm")
    return queries


def _profile(rows: Tensor) -> Tensor:
    """How strongly each input is read, `[H]`, centred and of length 1."""
    strength = rows.square().sum(0).sqrt()
    return torch.nn.functional.normalize(strength - strength.mean(), dim=0)


def _by_neuron(rows: Tensor, width: int) -> Tensor:
    """Gate and up one above the other, `[2F, H]`, side by side, `[F, 2H]`, each row of length 1; up alone stays."""
    rows = torch.nn.functional.normalize(rows, dim=1)
    beside: Tensor = rows.unflatten(0, (-1, width)).transpose(0, 1).flatten(1)
    return beside


def _places(rows: Tensor, originals: Tensor) -> set[int]:
    """For each row `[n, C]` the index of the original `[N, C]` that it is most like; all of them where none is gone."""
    if len(rows) == len(originals):
        return set(range(len(originals)))
    likeness = torch.nn.functional.normalize(rows, dim=1) @ torch.nn.functional.normalize(originals, dim=1).T
    return set(likeness.argmax(1).tolist())


class ExportedWeights:
    """Tensors of `model.onnx.data`, by the names that the manifest lists."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self._data = np.memmap(folder / WEIGHTS_FILE, np.uint8, "r")
        self._tensors = {tensor["name"]: tensor for tensor in manifest["tensors"]}
        self._formats = linear_formats(manifest["shape"])

    def vector(self, name: str) -> Tensor:
        """A float32 tensor as it lies in the file."""
        return self._read(name)

    def matrix(self, name: str, columns: int) -> Tensor:
        """`[R, columns]` float32: what the runtime multiplies with."""
        weight_format = self._formats.of(name)
        if not weight_format.quantized:
            return self._read(f"{name}.weight")
        scales = self._read(f"{name}.scales")
        codes = _unpacked(self._read(f"{name}.data"), weight_format.bits)
        zeros = None
        if not weight_format.symmetric:
            zeros = _unpacked(self._read(f"{name}.zero_points"), weight_format.bits)[:, : scales.shape[1]]
        return QuantizedMatrix(weight_format, columns, codes, scales, zeros).dequantize()

    def _read(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        raw = self._data[tensor["offset"] : tensor["offset"] + tensor["sizeBytes"]]
        return torch.from_numpy(np.array(raw).view(tensor["dtype"]).reshape(tensor["shape"]))


def _unpacked(packed: Tensor, bits: int) -> Tensor:
    return packed if bits == 8 else torch.stack((packed & 15, packed >> 4), -1).flatten(-2)
