"""Where every tensor lies in `model.onnx.data`: known from sizes and formats alone, before any weight is read.

Tensors come in groups (positions, embedding, one layer's attention, one layer's FFN, head). Chunks are cut where a
group ends, so variants that share a group's bytes share its chunks; every group starts on an aligned offset and is
padded to one, hence its bytes don't depend on what comes before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

from espalier_builder.export.decoder_spec import DecoderSpec, LayerSpec
from espalier_builder.quantize.weight_format import FP32, LinearFormats, VariantFormats, WeightFormat

ALIGNMENT_BYTES = 64  # a cache line: what the kernels load fastest
WEIGHTS_FILE = "model.onnx.data"

Dtype = Literal["float32", "uint8"]


@dataclass(frozen=True, slots=True)
class PlacedTensor:
    """A tensor of the external data file."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * (4 if self.dtype == "float32" else 1)

    def to_json(self) -> dict[str, Any]:
        """The `TensorEntry` contract."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "file": WEIGHTS_FILE,
            "offset": self.offset,
            "sizeBytes": self.size_bytes,
        }


@dataclass(frozen=True, slots=True)
class TensorGroup:
    """Consecutive tensors that are shared or exchanged together. `end` is the next group's start."""

    name: str
    tensors: tuple[PlacedTensor, ...]
    start: int
    end: int


@dataclass(frozen=True)
class WeightLayout:
    groups: tuple[TensorGroup, ...]

    @property
    def total_bytes(self) -> int:
        return self.groups[-1].end

    @property
    def embedding_bytes(self) -> int:
        """Bytes of embedding and head matrices; a tied pair lies in the file once."""
        owners = ("embedding.", "head.")
        return sum(tensor.size_bytes for tensor in self.tensors if tensor.name.startswith(owners))

    @property
    def tensors(self) -> tuple[PlacedTensor, ...]:
        return tuple(tensor for group in self.groups for tensor in group.tensors)

    @cached_property
    def by_name(self) -> dict[str, PlacedTensor]:
        return {tensor.name: tensor for tensor in self.tensors}


@dataclass(frozen=True, slots=True)
class _Unplaced:
    name: str
    dtype: Dtype
    shape: tuple[int, ...]


def lay_out(spec: DecoderSpec, formats: VariantFormats) -> WeightLayout:
    """Groups and offsets of a variant's weights, in the order in which a decoder uses them."""
    groups = [
        ("positions", _positions(spec)),
        ("embedding", _matrix("embedding", spec.vocabulary_size, spec.hidden_size, formats.embedding)),
    ]
    for index, layer in enumerate(spec.layers):
        attention, ffn = f"layers.{index}.attention", f"layers.{index}.ffn"
        groups.append((attention, _attention(attention, spec, layer, formats.linear)))
        groups.append((ffn, _ffn(ffn, spec, layer, formats.linear)))
    head = _norm("norm", spec)
    if not spec.tied:
        head += _matrix("head", spec.vocabulary_size, spec.hidden_size, formats.embedding)
    groups.append(("head", head))
    return _place(groups)


def _attention(prefix: str, spec: DecoderSpec, layer: LayerSpec, formats: LinearFormats) -> list[_Unplaced]:
    packed, query = (layer.heads + 2 * layer.kv_heads) * spec.head_size, layer.heads * spec.head_size
    return [
        *_norm(f"{prefix}.norm", spec),
        *_matrix(f"{prefix}.qkv", packed, spec.hidden_size, formats.of(f"{prefix}.qkv"), bias=layer.qkv_bias),
        *([_vector(f"{prefix}.{part}_norm", spec.head_size) for part in ("query", "key")] if spec.head_norms else []),
        *_matrix(f"{prefix}.output", spec.hidden_size, query, formats.of(f"{prefix}.output"), bias=layer.output_bias),
    ]


def _ffn(prefix: str, spec: DecoderSpec, layer: LayerSpec, formats: LinearFormats) -> list[_Unplaced]:
    return [
        *_norm(f"{prefix}.norm", spec),
        *_matrix(
            f"{prefix}.gate_up",
            layer.ffn_rows,
            spec.hidden_size,
            formats.of(f"{prefix}.gate_up"),
            bias=layer.gate_up_bias,
        ),
        *_matrix(
            f"{prefix}.down", spec.hidden_size, layer.ffn_size, formats.of(f"{prefix}.down"), bias=layer.down_bias
        ),
    ]


def _positions(spec: DecoderSpec) -> list[_Unplaced]:
    """A row a position: cosines and sines of half a head, or what is added to a token's embedding."""
    if spec.positions == "learned":
        return [_Unplaced("positions.weight", "float32", (spec.context_length, spec.hidden_size))]
    shape = (spec.context_length, spec.head_size // 2)
    return [_Unplaced("rotary.cos", "float32", shape), _Unplaced("rotary.sin", "float32", shape)]


def _norm(name: str, spec: DecoderSpec) -> list[_Unplaced]:
    biases = [_vector(f"{name}.bias", spec.hidden_size)] if spec.norm == "layer" else []
    return [_vector(name, spec.hidden_size), *biases]


def _vector(name: str, size: int) -> _Unplaced:
    return _Unplaced(name, "float32", (size,))


def _matrix(
    name: str, rows: int, columns: int, weight_format: WeightFormat = FP32, *, bias: bool = False
) -> list[_Unplaced]:
    """A matrix `[rows, columns]` (outputs, inputs): one tensor, or data, scales and zero points (quantize/rtn.py)."""
    tail = [_vector(f"{name}.bias", rows)] if bias else []
    if not weight_format.quantized:
        return [_Unplaced(f"{name}.weight", "float32", (rows, columns)), *tail]
    blocks, bits = weight_format.blocks(columns), weight_format.bits
    tensors = [
        _Unplaced(f"{name}.data", "uint8", (rows, blocks, weight_format.block_size * bits // 8)),
        _Unplaced(f"{name}.scales", "float32", (rows, blocks)),
    ]
    if not weight_format.symmetric:
        tensors.append(_Unplaced(f"{name}.zero_points", "uint8", (rows, -(-blocks * bits // 8))))
    return [*tensors, *tail]


def _place(groups: list[tuple[str, list[_Unplaced]]]) -> WeightLayout:
    placed: list[TensorGroup] = []
    offset = 0
    for name, tensors in groups:
        start, members = offset, []
        for tensor in tensors:
            member = PlacedTensor(tensor.name, tensor.dtype, tensor.shape, offset)
            members.append(member)
            offset = _aligned(offset + member.size_bytes)
        placed.append(TensorGroup(name, tuple(members), start, offset))
    return WeightLayout(tuple(placed))


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
